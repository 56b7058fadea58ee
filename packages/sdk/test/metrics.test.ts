import { test } from 'tap';
import { linksOf, metricsOf, type Overview, type PeerStatus, type PoolUse, type Weave } from '../src/index.ts';

const peers: PeerStatus[] = [
  { id: 'a', name: 'host1', underlay: '192.0.2.1', self: true, alive: true },
  { id: 'b', name: 'ho"st\\2\n', underlay: '192.0.2.2', self: false, alive: true },
  { id: 'c', name: 'host3', underlay: '192.0.2.3', self: false, alive: false },
];
const holding = (peer: string, addresses: string) => ({ peer, name: peer, addresses });
const pools: PoolUse[] = [
  {
    cidr: 'fd00::/64',
    network: 'weave',
    size: String(2n ** 64n),
    holdings: [holding('a', '256')],
    active: 2,
    stale: false,
  },
  {
    ...{ cidr: '10.32.0.0/12', network: 'weave', size: '1048576', active: 3, stale: false },
    holdings: [holding('a', '524288'), holding('c', '262144')],
  },
];
const counted = { sent: { packets: 1, bytes: 100 }, received: { packets: 2, bytes: 200 } };
const path = { peer: 'b', name: peers[1]!.name, address: '192.0.2.2', since: 0, lossRatio: 0.25, terminations: 2 };

const weave = (
  part: Partial<Record<keyof Overview, unknown>> = {},
  cluster: object | null = { reachable: true, since: 0 },
) => {
  const answers = {
    ...{ peers, pools, targets: [{ address: 'host9', state: 'trying' }] },
    connections: [{ ...path, ...counted, state: 'reachable', mtu: 1500, rttMs: 2 }],
    names: [{ peer: 'a' }, { peer: 'b' }],
    ...part,
  };
  const status = {
    ...{ version: '1.2.3', pid: 1, peer: { id: 'a', name: 'host1' }, networks: 4, endpoints: 5, started: 60_000 },
    ...{ repairs: { addLink: 2 }, notices: ['x'], ...(cluster ? { cluster } : {}) },
  };
  return { overview: async () => ({ status, ...answers }) } as unknown as Weave;
};

test('the series of Weave 2.8, and ours', async (t) => {
  const text = await metricsOf(weave());
  const expected = [
    'weave_connections{state="established",type="fastdp",encryption=""} 1',
    'weave_connections{state="failed",type="fastdp",encryption=""} 1',
    'weave_connections{state="connecting",type="fastdp",encryption=""} 1',
    'weave_connections{state="pending",type="fastdp",encryption=""} 0',
    'weave_connection_terminations_total 2',
    'weave_ips{state="local-used"} 3',
    'weave_max_ips 1048576',
    'weave_ipam_unreachable_count 1',
    'weave_ipam_unreachable_percentage 25',
    'weave_connection_rtt_seconds{peer="ho\\"st\\\\2\\n",address="192.0.2.2"} 0.002',
    'weave_connection_loss_ratio{peer="ho\\"st\\\\2\\n",address="192.0.2.2"} 0.25',
    'weave_connection_received_bytes_total{peer="ho\\"st\\\\2\\n",address="192.0.2.2"} 200',
    'weave_pool_held_addresses{network="weave",subnet="10.32.0.0/12"} 786432',
    'weave_pool_used_addresses{network="weave",subnet="fd00::/64"} 2',
    'weave_peers{alive="true"} 2',
    'weave_peers{alive="false"} 1',
    'weave_networks 4',
    'weave_dns_entries 1',
    'weave_endpoints 5',
    'weave_start_time_seconds 60',
    'weave_store_reachable 1',
    'weave_repairs_total{operation="addLink"} 2',
    'weave_build_info{version="1.2.3"} 1',
  ];
  for (const line of expected) t.ok(text.split('\n').includes(line), line, { text });
});

test('every line is of the format', async (t) => {
  for (const text of [
    await metricsOf(weave()),
    await metricsOf(weave({ peers: [peers[0]], pools: [], targets: [], connections: [] })),
  ]) {
    const described = new Set<string>();
    t.ok(text.endsWith('\n'));
    for (const line of text.trimEnd().split('\n')) {
      const [, name] = /^# TYPE (\w+) (?:gauge|counter)$/.exec(line) ?? [];
      if (name) t.notOk(described.has(name), `${name} is described once`);
      if (name) described.add(name);
      if (line.startsWith('#')) continue;
      const sample = /^(\w+)(?:\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (?:\d[\d.e+-]*)$/.exec(line);
      t.ok(sample && described.has(sample[1]!), line);
    }
  }
  t.notMatch(await metricsOf(weave({}, null)), /^weave_store_reachable /m, 'a host that is alone has no store');
});

test('every other host once, and every target that is not of the cluster', async (t) => {
  const links = (underlay: string) => linksOf([{ ...peers[1]!, underlay }], [], [])[0]!.address;
  t.same(['192.0.2.2', 'fd00::2', 'host2:7', '[fd00::2]:7', '[fd00::2]'].map(links), [
    ...['192.0.2.2:6783', '[fd00::2]:6783', 'host2:7', '[fd00::2]:7', '[fd00::2]:6783'],
  ]);
  const states = ['trying', 'waiting', 'together', 'refused'] as const;
  t.same(
    linksOf(
      [],
      [],
      states.map((state) => ({ address: 'h', state, problem: 'x' })),
    ).map(({ state }) => state),
    ['retrying', 'pending', 'failed'],
  );
});
