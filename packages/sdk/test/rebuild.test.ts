import { test } from 'tap';
import { rulesOf } from '../src/leftover-rules.ts';
import { createRig } from './rig.ts';

const NETWORK = 'a'.repeat(64);
const ENDPOINT = 'b'.repeat(64);
const container = { id: 'c'.repeat(64), name: 'web' };

test('a store that is lost, and a daemon that is killed before the engine was heard', async (t) => {
  await using rig = await createRig();
  const network = {
    ...{ id: NETWORK, name: 'red', options: {}, internal: false },
    subnets: [{ cidr: '172.20.0.0/16', gateway: '172.20.0.1', ours: false }],
  };
  const endpoint = { id: ENDPOINT, addresses: ['172.20.0.2/16'], mac: '02:42:ac:14:00:02' };
  await rig.weave.networks.adopt(network);
  await rig.weave.endpoints.create({ ...endpoint, network: NETWORK });
  await rig.weave.endpoints.attach(ENDPOINT, '/sandbox/1');
  const kernel = rig.datapath.listing();

  await using lost = await rig.loseStore();
  t.match(await lost.weave.endpoints.list(), []);
  await using again = await lost.restart();
  t.equal(again.datapath.listing(), kernel, 'what it does not know is left alone, however often it starts');
  t.equal((await again.weave.status()).peer.id, (await lost.weave.status()).peer.id, 'it is the same host');

  await again.weave.engine.report({
    networks: [{ ...network, reserved: [], endpoints: [{ ...endpoint, container, sandbox: '/sandbox/1' }] }],
    ...{ containers: [], gone: [], before: [] },
  });
  t.match(await again.weave.endpoints.list(), [{ id: ENDPOINT, network: NETWORK, container }]);
  t.equal(again.datapath.listing(), kernel);
  await again.datapath.apply([
    [{ op: 'addBridge', netns: 'switch', name: 'wbstray', mac: '02:00:00:00:00:01', mtu: 1500 }],
  ]);
  await using third = await again.restart();
  t.equal(third.datapath.listing(), kernel, 'from then on a stray is one');
});

test('a host with nothing in its kernel has lost nothing', async (t) => {
  await using rig = await createRig();
  await rig.datapath.apply([
    [{ op: 'addBridge', netns: 'switch', name: 'wbstray', mac: '02:00:00:00:00:01', mtu: 1500 }],
  ]);
  await using again = await rig.restart();
  t.notMatch(again.datapath.listing(), 'wbstray');
});

const compare = (protocol: string, field: string, right: unknown, op = '==') => ({
  match: { op, left: { payload: { protocol, field } }, right },
});
const oifname = (right: string, op = '==') => ({ match: { op, left: { meta: { key: 'oifname' } }, right } });
const local = { match: { op: '==', left: { fib: { result: 'type', flags: ['daddr'] } }, right: 'local' } };
const prefix = (addr: string, len: number) => ({ prefix: { addr, len } });

test('the packet filter as nft 1.0 shows it', async (t) => {
  const link = 'weavegwnpxqhmlt';
  const nfproto = { match: { op: '==', left: { meta: { key: 'nfproto' } }, right: 'ipv4' } };
  const dnat = (addr: string, port: number) => ({ dnat: { family: addr.includes(':') ? 'ip6' : 'ip', addr, port } });
  const masquerade = { masquerade: null };
  const v4 = compare('ip', 'saddr', prefix('10.62.0.0', 24));
  const v6 = compare('ip6', 'saddr', prefix('fd00:62::', 64));
  const prerouting = [
    [local, nfproto, compare('tcp', 'dport', 8082), dnat('10.62.0.2', 80)],
    [local, compare('ip6', 'daddr', '::1', '!='), compare('tcp', 'dport', 8082), dnat('fd00:62::2', 80)],
    [local, compare('ip', 'daddr', '192.0.2.9'), compare('udp', 'dport', 53), dnat('10.62.0.3', 5353)],
    [local, nfproto, compare('tcp', 'dport', 1), dnat('10.99.0.2', 1)],
  ];
  const postrouting = [
    [oifname('weavegw*'), compare('ip', 'saddr', prefix('127.0.0.0', 8)), masquerade],
    [v4, oifname(link, '!='), masquerade],
    [v4, oifname(link), { match: { op: 'in', left: { ct: { key: 'status' } }, right: 'dnat' } }, masquerade],
    [v6, oifname(link, '!='), masquerade],
  ];
  const rules = [
    ...prerouting.flatMap((expr) => [
      { chain: 'prerouting', expr },
      { chain: 'output', expr },
    ]),
    ...postrouting.map((expr) => ({ chain: 'postrouting', expr })),
  ];
  t.strictSame(rulesOf(rules as never), {
    gateways: [{ link, subnets: ['10.62.0.0/24', 'fd00:62::/64'] }],
    ports: [
      { protocol: 'tcp', hostAddress: '0.0.0.0', hostPort: 8082, port: 80, link, address: '10.62.0.2' },
      { protocol: 'tcp', hostAddress: '::', hostPort: 8082, port: 80, link, address: 'fd00:62::2' },
      { protocol: 'udp', hostAddress: '192.0.2.9', hostPort: 53, port: 5353, link, address: '10.62.0.3' },
    ],
  });
});
