import { type Test, test } from 'tap';
import { ALL_AGREE, checked, createLab, type Host, interfacesOf, type Lab } from '../src/index.ts';

/** The wire between hosts, as it may be found. */
interface Wire {
  name: string;
  /** Beyond what every lab has. */
  prepare(lab: Lab): Promise<unknown>;
  /** Where the others reach a host. */
  addressOf(host: Host): string;
  /** As the hosts see their paths, by the host at the other end. */
  pathMtu(from: Host, to: Host): number;
  /** Of the network between h1 and h2, and once h3 is on it. */
  mtus: [number, number];
  /** Of what containers send, where it is less than they may: of IPv6, which cannot be told. */
  least?: number;
}

const onAll = (lab: Lab, command: string) => Promise.all(lab.hosts.map((host) => host.exec(command)));
/** Of the third host's wire. */
const LEAST = 1400;

/** The third host's link is a small one, and nothing tells the others: what is too large for it vanishes. */
async function sizes(lab: Lab): Promise<void> {
  await lab.underlay.exec(['ip', 'link', 'set', 'underlay', 'mtu', '9000']);
  for (const host of lab.hosts) {
    const mtu = host.name === 'h3' ? LEAST : 9000;
    await lab.underlay.exec(['ip', 'link', 'set', host.name, 'mtu', `${mtu}`]);
    await host.exec(`ip link set eth0 mtu ${mtu}`);
  }
}

const WIRES: Wire[] = [
  {
    name: 'IPv4 alone',
    prepare: (lab) => onAll(lab, 'ip -6 addr flush dev eth0'),
    addressOf: ({ ip }) => ip,
    pathMtu: () => 1500,
    mtus: [1450, 1450],
  },
  {
    name: 'IPv6 alone',
    prepare: (lab) => onAll(lab, 'ip -4 addr flush dev eth0'),
    addressOf: ({ ip6 }) => ip6,
    pathMtu: () => 1500,
    mtus: [1430, 1430],
  },
  {
    name: 'links of different sizes',
    prepare: sizes,
    addressOf: ({ ip }) => ip,
    pathMtu: (from, to) => (from.name === 'h3' || to.name === 'h3' ? LEAST : 9000),
    mtus: [8950, LEAST - 50],
  },
  {
    name: 'IPv6 alone, with links of the least that it takes',
    prepare: (lab) => onAll(lab, 'ip -4 addr flush dev eth0; ip link set eth0 mtu 1280'),
    addressOf: ({ ip6 }) => ip6,
    pathMtu: () => 1280,
    mtus: [1280, 1280],
    least: 1210,
  },
];

for (const wire of WIRES)
  test(`an underlay of ${wire.name}`, async (t) => {
    const lab = await createLab({ hosts: 3, underlay: { mtu: 9000 } });
    t.teardown(() => lab.dispose());
    await onAll(lab, 'ip link set eth0 mtu 1500');
    for (const { name } of lab.hosts) await lab.underlay.exec(['ip', 'link', 'set', name, 'mtu', '1500']);
    await wire.prepare(lab);
    await suite(t, lab, wire);
  });

const PAYLOAD = 8_000_000;

async function suite(t: Test, lab: Lab, wire: Wire): Promise<void> {
  const [a, b, c] = lab.hosts as [Host, Host, Host];
  await a.weave('launch', '--local', '--log-level', 'debug');
  await b.weave('launch', '--local', wire.addressOf(a));
  await b.weave('prime');
  await a.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', '--ipv6', ...SUBNETS, 'blue');
  const seen = new Map<Host, { web: string[]; blue: string[] }>();
  for (const host of [a, b]) seen.set(host, await containers(host));
  await sized(t, wire.mtus[0], [a, b]);
  await talk(t, [a, b], seen, wire);

  const begun = performance.now();
  await c.weave('launch', '--local');
  await c.weave('connect', wire.addressOf(b));
  await c.weave('prime');
  seen.set(c, await containers(c));
  await reaches(t, c, 'web', seen.get(a)!.web[0]!);
  t.comment(`seen: a third host joins, to its first ping of another: ${Math.round(performance.now() - begun)} ms`);
  await sized(t, wire.mtus[1], [a, b, c]);
  await talk(t, [a, b, c], seen, wire);
  for (const from of lab.hosts) {
    const connections = JSON.parse(await from.weave('status', 'connections', '--json')) as Connection[];
    const expected = lab.hosts.filter((to) => to !== from);
    const known = new Map(connections.map((each) => [each.address, each]));
    for (const to of expected)
      t.match(
        known.get(wire.addressOf(to)),
        { state: 'reachable', mtu: wire.pathMtu(from, to) },
        `${from.name} → ${to.name}`,
      );
    t.equal(connections.length, expected.length, 'nothing else');
  }
  if (wire.least) t.match(await a.weave('status'), `above ${wire.least} bytes`, 'what does not get through is said');
  for (const host of lab.hosts) t.equal(await checked(host), ALL_AGREE);
}

const SUBNETS = ['--subnet', '10.77.0.0/24', '--subnet', 'fd00:77::/64'];

interface Connection {
  address: string;
  state: string;
  mtu?: number;
}

/** One attached by hand, one on a network of the engine, which serves what it is sent the length of. */
async function containers(host: Host): Promise<{ web: string[]; blue: string[] }> {
  await host.exec('until docker network inspect blue >/dev/null 2>&1; do sleep 0.1; done', { timeoutMs: 10_000 });
  const serve = ['busybox', 'nc', '-ll', '-p', '5000', '-e', 'wc', '-c'];
  await host.docker('run', '-d', '--name', 'web', '--net', 'none', ...serve);
  await host.weave('attach', 'web');
  await host.docker('run', '-d', '--name', 'blue', '--net', 'blue', ...serve);
  const plain = (list: string[]) => list.map((text) => text.split('/')[0]!);
  const [web, blue] = [(await interfacesOf(host, 'web')).ethwe, (await interfacesOf(host, 'blue')).ethwe0];
  return { web: plain(web!.addresses), blue: plain(blue!.addresses) };
}

const inside = (host: Host, name: string, command: string) =>
  host.exec(['docker', 'exec', name, 'sh', '-c', command], { allowFail: true, timeoutMs: 60_000 });

async function reaches(t: Test, host: Host, name: string, to: string): Promise<void> {
  const heard = async () => (await inside(host, name, `ping -c1 -W1 ${to}`)).stdout.includes(' 1 packets received');
  const begun = performance.now();
  while (!(await heard()))
    if (performance.now() - begun > 20_000) return void t.fail(`${host.name} does not reach ${to}`);
  t.pass(`${host.name} reaches ${to}`);
}

/** What fits between all hosts of a network is what its containers have. */
async function sized(t: Test, mtu: number, hosts: Host[]): Promise<void> {
  for (const host of hosts)
    for (const [name, link] of [
      ['web', 'ethwe'],
      ['blue', 'ethwe0'],
    ] as const) {
      const now = async () => Number((await inside(host, name, `cat /sys/class/net/${link}/mtu`)).stdout);
      const begun = performance.now();
      while ((await now()) !== mtu && performance.now() - begun < 40_000);
      t.equal(await now(), mtu, `${name} on ${host.name} has what fits`);
    }
}

/** Each to each, in both families. */
async function talk(
  t: Test,
  hosts: Host[],
  seen: Map<Host, { web: string[]; blue: string[] }>,
  { least }: Wire,
): Promise<void> {
  for (const name of ['web', 'blue'] as const)
    for (const from of hosts)
      for (const to of hosts.filter((host) => host !== from))
        for (const address of seen.get(to)![name]) await flows(t, { from, name, address, least });
}

interface Flow {
  from: Host;
  name: 'web' | 'blue';
  address: string;
  least: number | undefined;
}

/** Pings as large as there may be, and many bytes at once. */
async function flows(t: Test, { from, name, address, least }: Flow): Promise<void> {
  await reaches(t, from, name, address);
  const headers = address.includes(':') ? 48 : 28;
  const mtu = `$(cat /sys/class/net/${name === 'web' ? 'ethwe' : 'ethwe0'}/mtu)`;
  const whole = await inside(from, name, `ping -c1 -W2 -s $((${least ?? mtu} - ${headers})) ${address}`);
  t.match(whole.stdout, ' 1 packets received', `${from.name} → ${address}: as large as it may send`);
  const sent = await inside(from, name, `dd if=/dev/zero bs=${PAYLOAD} count=1 2>/dev/null | nc ${address} 5000`);
  t.equal(Number(sent.stdout), PAYLOAD, `${from.name} → ${address}: TCP`);
}
