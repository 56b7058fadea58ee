import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Change, Endpoint } from '@weave/core';
import { type Test, t } from 'tap';
import type { Log } from '../src/log.ts';
import { open } from '../src/open.ts';
import { openStore } from '../src/store.ts';
import type { Weave } from '../src/weave.ts';
import { inOwnNamespace } from './own-namespace.ts';

/** So that what failed can be done again. */
const SEED = Number(process.env.WEAVE_SEED ?? Date.now() % 1_000_000);
const CORRUPTIONS = 300;
const NAMESPACES = 24;
const PATIENCE_MS = 20_000;

const sh = (script: string) => execFileSync('sh', ['-c', script], { encoding: 'utf8' });

/** Numbers below `n`, the same for the same seed. */
function random(seed: number) {
  let state = seed;
  return (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

async function tests(): Promise<void> {
  t.strictSame(networkInterfaces(), {}, 'this is not the network namespace of the machine');
  const dir = mkdtempSync(join(tmpdir(), 'weave-drift-'));
  sh(`mount -t tmpfs none ${dir}; mount -t tmpfs none /run; mkdir -p /run/netns; ip link set lo up`);
  t.teardown(() => {
    sh(`umount --lazy ${dir} /run`);
    rmSync(dir, { recursive: true });
  });
  const logged: string[] = [];
  await withPeer(dir);
  const log: Log = (level, message, fields) => logged.push(JSON.stringify({ level, message, ...fields }));
  const weave = await open({ stateDir: dir, runDir: dir, log });
  t.teardown(() => weave.reset());
  await weave.networks.create({ name: 'blue', options: { 'works.weave.gateway': 'weave' } });
  const names = Array.from({ length: NAMESPACES }, (_, i) => `c${i}`);
  sh(names.map((name) => `ip netns add ${name}`).join('\n'));
  for (const [i, name] of names.entries())
    await weave.attach({ netns: `/run/netns/${name}` }, [], { network: i % 3 === 0 ? 'blue' : 'weave' });
  const links = (where: string) => [...sh(`${where} ip -o link`).matchAll(/^\d+: ([^@:]+)/gm)].map(([, name]) => name!);
  const inSwitch = links(`nsenter --net=${dir}/netns`);
  const world = {
    ...{ dir, names, endpoints: (await weave.endpoints.list()).filter((e) => e.sandbox) },
    ports: inSwitch.filter((name) => name.startsWith('wv')),
    bridges: inSwitch.filter((name) => name.startsWith('wb')),
    uplinks: inSwitch.filter((name) => name.startsWith('wu')),
    overlays: inSwitch.filter((name) => name.startsWith('wx')),
    gateways: links('').filter((name) => name.startsWith('weavegw')),
  };
  t.match(world, {
    ports: { length: NAMESPACES },
    bridges: { length: 2 },
    uplinks: [/./],
    overlays: [/./],
    gateways: [/./],
  });
  t.strictSame((await weave.status()).notices, []);
  sh(FOREIGN);
  await t.test('what others break is mended', (t) => breakAndMend(t, weave, world, logged));
}

/** Another host's endpoint on the default network, so that there is a VXLAN device with entries. */
async function withPeer(stateDir: string): Promise<void> {
  const alone = await open({ stateDir, runDir: stateDir });
  const [network] = await alone.networks.list();
  const self = (await alone.status()).peer;
  await alone.close();
  const { store } = openStore(join(stateDir, 'weave.db'));
  const peer = { id: 'f'.repeat(32), name: 'other', underlay: '192.0.2.2' };
  const id = 'e'.repeat(64);
  const remote = { id, network: network!.id, peer: peer.id, owner: 'weave', mac: '02:00:00:00:00:09' } as const;
  const changes: Change[] = [
    { table: 'peer', id: self.id, record: { ...self, underlay: '192.0.2.1' } },
    { table: 'peer', id: peer.id, record: peer },
    { table: 'endpoint', id, record: { ...remote, addresses: ['10.47.0.9/12', 'fd77:6561:7665::9:9/64'] } },
  ];
  store.append(changes);
  store.close();
}

interface World {
  dir: string;
  names: string[];
  /** Those of this host. */
  endpoints: Endpoint[];
  ports: string[];
  bridges: string[];
  uplinks: string[];
  overlays: string[];
  gateways: string[];
}

/** Beside ours, and like ours: nobody may touch it. */
const FOREIGN = `
  ip link add weavegw-other type bridge; ip addr add 10.99.0.1/24 dev weavegw-other; ip link set weavegw-other up
  ip link add wvforeign type veth peer name wbforeign
  ip netns exec c0 sh -c 'ip link add ethwe9 type bridge; ip addr add 10.98.0.1/24 dev ethwe9; ip link set ethwe9 up'
  ip netns exec c0 ip route add 198.51.100.0/24 dev ethwe9
  ip netns exec c0 nft 'add table inet weave { chain weave { ip saddr 198.51.100.9 drop; }; }'`;

/** All that programs which are not ours can see, without what changes by itself. */
const look = ({ dir, names }: World) =>
  sh(`{ for ns in ${dir}/netns ${names.map((name) => `/run/netns/${name}`).join(' ')} /proc/self/ns/net; do echo "== $ns"
    nsenter --net=$ns ip -o -d link; nsenter --net=$ns ip -o addr; nsenter --net=$ns ip route; nsenter --net=$ns ip -6 route
  done; nsenter --net=${dir}/netns bridge fdb show | grep -v 33:33 | grep -e dst -e extern_learn
  nsenter --net=${dir}/netns ip neigh show nud permanent; nft list ruleset; for ns in ${dir}/netns /run/netns/c0; do nsenter --net=$ns nft list ruleset; done; } \\
    | grep -v fe80: | sed -E 's/ (state|qlen) [A-Z0-9]+//g; s/^[0-9]+: //; s/(@|link-netnsid |if|peer_ifindex )[0-9]+//g; s/^(w[vutrx].*) link\\/ether.*/\\1/; s/ (parentbus|numtxqueues|promiscuity|hello_timer|gc_timer|timer) .*//'`)
    .split('\n')
    .sort()
    .join('\n');

/** Each a way to break something, as a command; `n` chooses what. */
const WAYS: ((world: World, n: Numbers) => string)[] = [
  (w, n) => inSwitch(w, `ip link set ${port(w, n)} down`),
  (w, n) => inSwitch(w, `ip link set ${port(w, n)} nomaster`),
  (w, n) => inSwitch(w, `ip link set ${port(w, n)} master ${of(w.bridges, n)}`),
  (w, n) => inSwitch(w, `ip link del ${port(w, n)}`),
  (w, n) => inSwitch(w, `ip link set ${of(w.bridges, n)} down`),
  (w, n) => inside(w, n, (link) => `ip link set ${link} down`),
  (w, n) => inside(w, n, (link, address) => `ip addr del ${address} dev ${link}`),
  (w, n) => inside(w, n, (link) => `ip addr flush dev ${link}`),
  (w, n) => inside(w, n, (link) => `ip route del 224.0.0.0/4 dev ${link}`),
  (w, n) => inside(w, n, (link) => `ip link del ${link}`),
  (w) => `ip link set ${w.gateways[0]} down`,
  (w) => `ip addr flush dev ${w.gateways[0]}`,
  (w) => inSwitch(w, `ip link del ${w.uplinks[0]}`),
  (w) => inSwitch(w, `ip link del ${w.overlays[0]}`),
  (w) => inSwitch(w, `bridge fdb del 02:00:00:00:00:09 dev ${w.overlays[0]} dst 192.0.2.2`),
  (w) => inSwitch(w, `bridge fdb del 00:00:00:00:00:00 dev ${w.overlays[0]} dst 192.0.2.2`),
  (w) => inSwitch(w, `bridge fdb del 02:00:00:00:00:09 dev ${w.overlays[0]} master`),
  (w, n) => inSwitch(w, `ip neigh flush dev ${of(w.bridges, n)} nud permanent`),
  (w, n) => inSwitch(w, `sysctl -qw net.ipv6.conf.${of(w.bridges, n)}.disable_ipv6=1`),
  () => 'nft flush ruleset',
  () => 'nft flush chain inet weave forward',
  () => 'nft delete table inet weave',
  (w) => inSwitch(w, 'nft flush ruleset'),
  () =>
    'nft delete rule inet weave raw handle $(nft -a list chain inet weave raw | sed -n "s/.*# handle //p" | tail -1)',
];

type Numbers = (below: number) => number;
const of = <T>(list: readonly T[], n: Numbers): T => list[n(list.length)]!;
const inSwitch = ({ dir }: World, command: string) => `nsenter --net=${dir}/netns ${command}`;
const port = ({ ports }: World, n: Numbers) => of(ports, n);

function inside({ endpoints }: World, n: Numbers, command: (link: string, address: string) => string) {
  const { sandbox, addresses } = of(endpoints, n);
  if (sandbox?.kind !== 'netns') throw new Error('not attached');
  return `nsenter --net=${sandbox.path} ${command(sandbox.interface, of(addresses, n))}`;
}

async function breakAndMend(t: Test, weave: Weave, world: World, logged: string[]): Promise<void> {
  const before = look(world);
  t.strictSame((await weave.check()).differences, []);
  const counted = await repairsOf(weave);
  logged.length = 0;
  const n = random(SEED);
  const commands = Array.from({ length: CORRUPTIONS }, () => WAYS[n(WAYS.length)]!(world, n));
  // What one broke another cannot break: not every command finds its victim.
  sh(`${commands.map((command) => `${command} 2>/dev/null`).join('\n')}\ntrue`);
  t.not(look(world), before, 'it is broken');
  const begun = performance.now();
  let now = '';
  while (now !== before && performance.now() - begun < PATIENCE_MS) {
    await delay(50);
    now = look(world);
  }
  t.comment(`seen: ${CORRUPTIONS} corruptions, seen mended after ${Math.round(performance.now() - begun)} ms`);
  t.equal(now, before, `all is as before; WEAVE_SEED=${SEED} breaks the same again`, { commands });
  t.strictSame((await weave.check()).differences, []);
  t.ok((await repairsOf(weave)) > counted, 'and it is counted');
  t.ok(
    logged.some((line) => line.includes('repaired') && line.includes(' is ')),
    'and logged with its cause',
  );
  // It is logged when it is done and looked at.
  await delay(500);
  const quiet = logged.length;
  await delay(1000);
  t.strictSame(logged.slice(quiet), [], 'then there is peace');
}

const repairsOf = async (weave: Weave) => Object.values((await weave.status()).repairs).reduce((a, b) => a + b, 0);

await inOwnNamespace(fileURLToPath(import.meta.url), tests);
