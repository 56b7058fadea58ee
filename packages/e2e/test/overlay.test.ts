import { setTimeout as sleep } from 'node:timers/promises';
import type { Change, Network } from '@weave/core';
import tap, { type Test, test } from 'tap';
import { captured, createLab, type Frame, type Host, learn, recordsOf, told } from '../src/index.ts';

const lab = await createLab({ hosts: 3, docker: false });
const [h1, h2, h3] = lab.hosts as [Host, Host, Host];
tap.teardown(() => lab.dispose());

/** Who is where: h1 made all networks, and h3 has nothing on blue. */
const PLACES = [
  { host: h1, name: 'c1', network: 'blue', last: 1 },
  { host: h1, name: 'd1', network: 'blue', last: 11 },
  { host: h2, name: 'c2', network: 'blue', last: 2 },
  { host: h2, name: 'r2', network: 'red', last: 2 },
  { host: h3, name: 'r3', network: 'red', last: 3 },
  { host: h1, name: 'o1', network: 'out', last: 11 },
  { host: h2, name: 'o2', network: 'out', last: 12 },
];
const SUBNET = { blue: '50', red: '60', out: '70' } as Record<string, string>;
const v4 = (network: string, last: number) => `10.${SUBNET[network]}.0.${last}`;
const v6 = (network: string, last: number) => `fd${SUBNET[network]}::${last}`;

const on = (host: Host, name: string, ...argv: string[]) =>
  host.exec(['ip', 'netns', 'exec', name, ...argv], { allowFail: true });
const ping = (host: Host, name: string, ...argv: string[]) => on(host, name, 'ping', '-c1', '-W2', ...argv);
const inSwitch = async (host: Host, command: string) =>
  (await host.exec(`nsenter --net=/run/weave/netns ${command}`)).stdout;

async function reaches(t: Test, host: Host, name: string, to: string): Promise<void> {
  t.equal((await ping(host, name, to)).code, 0, `${name} reaches ${to}`);
}

/** All that containers have learned of each other is forgotten. */
const forget = () => Promise.all(PLACES.map(({ host, name }) => on(host, name, 'ip', 'neigh', 'flush', 'nud', 'all')));

/** ARP and neighbour discovery. */
const questions = (frames: readonly Frame[]) => frames.filter(({ text }) => /ARP|neighbor/.test(text));

/** Tells every host what the others have, as a directory would, and what networks h1 made; while no daemon runs. */
async function exchange(underlay: (host: Host) => string): Promise<void> {
  const all = await Promise.all(lab.hosts.map((host) => told(host, underlay(host))));
  const [origin] = all[0]!.flatMap(({ table, id }) => (table === 'peer' ? id : []));
  const shared = (await recordsOf(h1)).flatMap((change): Change[] => {
    if (change.table === 'pool' || change.table === 'lease') return [change];
    if (change.table !== 'network' || !change.record || change.record.name === 'weave') return [];
    return [{ ...change, record: { ...change.record, origin: origin! } }];
  });
  for (const [index, host] of lab.hosts.entries()) {
    const news = all.flatMap((each, of) => each.filter(({ table }) => table === 'peer' || of !== index));
    await learn(host, host === h1 ? news : [...shared, ...news]);
  }
}

const everyone = (...args: string[]) => Promise.all(lab.hosts.map((host) => host.weave(...args)));

let vni: Record<string, number> = {};

async function networks(): Promise<void> {
  await everyone('launch', '--local');
  for (const [name, options] of [['blue'], ['red'], ['out', '-o', 'works.weave.gateway=weave']] as const) {
    const subnets = ['--subnet', `10.${SUBNET[name]}.0.0/24`, '--subnet', `fd${SUBNET[name]}::/64`];
    await h1.weave('network', 'create', ...subnets, ...(options ? [options, 'works.weave.gateway=weave'] : []), name);
  }
  const made = JSON.parse(await h1.weave('network', 'ls', '--json')) as Network[];
  vni = Object.fromEntries(made.map((network) => [network.name, network.vni]));
  await everyone('stop');
  await exchange(({ ip }) => ip);
  await everyone('launch', '--local');
  for (const { host, name, network, last } of PLACES) {
    await host.exec(['ip', 'netns', 'add', name]);
    const addresses = [`${v4(network, last)}/24`, `${v6(network, last)}/64`];
    await host.weave('attach', '--network', network, ...addresses, `/run/netns/${name}`);
  }
}

await networks();

for (const family of ['IPv4', 'IPv6'] as const)
  test(`over an underlay of ${family}`, async (t) => {
    const underlay = ({ ip, ip6 }: Host) => (family === 'IPv4' ? ip : ip6);
    await everyone('stop');
    await exchange(underlay);
    await Promise.all(lab.hosts.map((host) => host.weave('launch', '--local', '--underlay', underlay(host))));
    for (const host of lab.hosts) t.equal((await host.exec(['weave', 'check'])).code, 0, 'all is as it should be');
    await t.test('networks are where they are needed', needed);
    await t.test('the known are reached without asking', known);
    await t.test('one network, one set of hosts', exactly);
    await t.test('what nobody told of is found all the same', unknown);
    await t.test('an address moves to another host', moves);
    await t.test('the gateway is everybody’s own', gateway);
    for (const host of lab.hosts) t.equal((await host.exec(['weave', 'check'])).code, 0, 'and still is');
  });

async function needed(t: Test): Promise<void> {
  const links = async (host: Host) => [...(await inSwitch(host, 'ip -o link')).matchAll(/: (w[bx])[a-z2-7]{11}\b/g)];
  const count = async (host: Host, kind: string) => (await links(host)).filter(([, found]) => found === kind).length;
  // With the default network, which every host makes for itself.
  t.strictSame(await Promise.all(lab.hosts.map((host) => count(host, 'wb'))), [4, 4, 2], 'bridges');
  t.strictSame(await Promise.all(lab.hosts.map((host) => count(host, 'wx'))), [2, 3, 1], 'overlays');
}

async function known(t: Test): Promise<void> {
  await forget();
  const frames = await captured(lab, async () => {
    for (const address of [v4, v6]) {
      await reaches(t, h1, 'c1', address('blue', 2));
      await reaches(t, h2, 'c2', address('blue', 11));
      await reaches(t, h1, 'c1', address('blue', 11));
      await reaches(t, h2, 'r2', address('red', 3));
    }
  });
  t.strictSame(questions(frames), [], 'no question was asked on the underlay');
  const pings = frames.filter(({ vni: of, to, text }) => of === vni.blue && to === 'h2' && /echo request/.test(text));
  t.equal(pings.length, 2, 'and one frame for each ping');
  const mac = /link\/ether (\S+)/.exec((await on(h2, 'c2', 'ip', 'link', 'show', 'ethwe-blue')).stdout)![1]!;
  const entries = (await inSwitch(h1, 'bridge fdb show')).split('\n').filter((line) => line.startsWith(mac));
  t.equal(entries.length, 2, 'the device and its bridge know where, and no port has learned it');
  for (const entry of entries) t.match(entry, /dev wx\S+ .*extern_learn/);
}

async function exactly(t: Test): Promise<void> {
  const count = (frames: readonly Frame[], to: string, what: RegExp) =>
    frames.filter((frame) => frame.to === to && what.test(frame.text)).length;
  const frames = await captured(lab, async () => {
    await on(h1, 'c1', 'ping', '-c3', '-i0.2', '-W1', '-I', 'ethwe-blue', '239.1.2.3');
    await on(h1, 'c1', 'ping', '-c3', '-i0.2', '-W1', '-b', '10.50.0.255');
    await on(h2, 'r2', 'ping', '-c3', '-i0.2', '-W1', '-I', 'ethwe-red', '239.3.2.1');
    await on(h1, 'c1', 'ping', '-c3', '-i0.2', '-W1', '-I', 'ethwe-blue', 'ff02::1');
  });
  for (const what of [/> 239\.1\.2\.3: ICMP echo/, /> 10\.50\.0\.255: ICMP echo/, /> ff02::1: ICMP6, echo/])
    t.strictSame(
      lab.hosts.map(({ name }) => count(frames, name, what)),
      [0, 3, 0],
      `${what}`,
    );
  t.strictSame(
    lab.hosts.map(({ name }) => count(frames, name, /> 239\.3\.2\.1: ICMP echo/)),
    [0, 0, 3],
    'of red to the host that has it',
  );
  const astray = frames.filter(({ to, vni: of }) => (to === 'h3' && of !== vni.red) || (to === 'h1' && of === vni.red));
  t.strictSame(astray, [], 'no frame of a network on a host without');
}

async function unknown(t: Test): Promise<void> {
  await on(h2, 'c2', 'ip', 'addr', 'replace', '10.50.0.200/24', 'dev', 'ethwe-blue');
  await on(h2, 'c2', 'ip', 'addr', 'replace', 'fd50::200/64', 'dev', 'ethwe-blue', 'nodad');
  await forget();
  const frames = await captured(lab, async () => {
    await reaches(t, h1, 'c1', '10.50.0.200');
    await reaches(t, h1, 'c1', 'fd50::200');
  });
  const asked = questions(frames).filter(({ text }) => /who-has 10\.50\.0\.200|who has fd50::200/.test(text));
  t.strictSame([...new Set(asked.map(({ to }) => to))], ['h2'], 'asked where the network is, and nowhere else');
  // Nobody's: a full pass would take them from an interface that Weave made.
  await on(h2, 'c2', 'ip', 'addr', 'del', '10.50.0.200/24', 'dev', 'ethwe-blue');
  await on(h2, 'c2', 'ip', 'addr', 'del', 'fd50::200/64', 'dev', 'ethwe-blue');
}

/** As keepalived does it. Nothing but gratuitous ARP tells: by itself the old place is believed for most of a minute. */
async function moves(t: Test): Promise<void> {
  const address = ['10.50.0.201/32', 'dev', 'ethwe-blue'];
  // What went from c2 just now is looked into, and then what is nobody's goes as well.
  await sleep(2000);
  await on(h1, 'd1', 'ip', 'addr', 'add', ...address);
  await reaches(t, h1, 'c1', '10.50.0.201');
  await on(h1, 'd1', 'ip', 'addr', 'del', ...address);
  await on(h2, 'c2', 'ip', 'addr', 'add', ...address);
  await on(h2, 'c2', 'busybox', 'arping', '-U', '-c3', '-I', 'ethwe-blue', '10.50.0.201');
  await reaches(t, h1, 'c1', '10.50.0.201');
  await on(h2, 'c2', 'ip', 'addr', 'del', ...address);
}

async function gateway(t: Test): Promise<void> {
  await forget();
  await Promise.all([h1, h2].map((host) => host.exec('ip neigh flush all')));
  const frames = await captured(lab, async () => {
    for (const [host, name, last] of [
      [h1, 'o1', 11],
      [h2, 'o2', 12],
    ] as const)
      for (const address of [v4, v6]) {
        await reaches(t, host, name, address('out', 1));
        const back = await host.exec(['ping', '-c1', '-W2', address('out', last)], { allowFail: true });
        t.equal(back.code, 0, `the host reaches ${name}`);
      }
    await reaches(t, h1, 'o1', v4('out', 12));
  });
  const about = questions(frames).filter(({ vni: of }) => of === vni.out);
  t.strictSame(about, [], 'nobody asks another host for it, and it asks none');
  const mac = /lladdr (\S+)/.exec((await on(h1, 'o1', 'ip', 'neigh', 'show', v4('out', 1))).stdout)![1]!;
  for (const host of [h1, h2]) {
    const entries = (await inSwitch(host, 'bridge fdb show')).split('\n').filter((line) => line.startsWith(mac));
    t.equal(entries.length, 1, 'one way leads to it');
    t.match(entries[0], /dev wu/, 'on its own host');
  }
}
