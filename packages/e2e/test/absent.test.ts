import { setTimeout as sleep } from 'node:timers/promises';
import tap, { test } from 'tap';
import {
  ALL_AGREE,
  checked,
  createLab,
  daemonPid,
  type Host,
  interfacesOf,
  killDaemon,
  settled,
  shownBy,
  switchLinks,
} from '../src/index.ts';

const lab = await createLab({ hosts: 4 });
tap.teardown(() => lab.dispose());

const network = (host: Host, name: string, subnet: string) =>
  host.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', '--subnet', subnet, name);
const run = (host: Host, name: string, net: string, ...args: string[]) =>
  host.docker('run', '-d', '--stop-timeout', '0', '--name', name, '--net', net, ...args, 'busybox', 'sleep', '3600');
const inspect = (host: Host, name: string, field: string) => host.docker('inspect', '-f', `{{${field}}}`, name);
const addressOf = async (host: Host, name: string, net: string) => (await shownBy(host, name, net)).addresses[0];
const states = async (host: Host) =>
  (await host.docker('ps', '-a', '--format', '{{.Names}} {{.State}}')).split('\n').sort();
/** How many bridges and ports there are in the switch, and links of ours in the host. */
const links = async (host: Host) =>
  [...(await switchLinks(host)), (await host.exec('ip -o link | grep -c ": wh" || :')).stdout.trim()].map((name) =>
    name.slice(0, 2),
  );

async function until<T>(read: () => Promise<T>, holds: (value: T) => boolean, limitMs: number): Promise<T> {
  for (const end = Date.now() + limitMs; ; ) {
    const value = await read();
    if (holds(value) || Date.now() > end) return value;
    await sleep(200);
  }
}

/** Whether the engine and the kernel agree on where a container is. */
async function isConnected(host: Host, container: string, net: string): Promise<boolean> {
  const shown = await shownBy(host, container, net);
  const has = Object.values(await interfacesOf(host, container)).find(({ mac }) => mac === shown.mac);
  return shown.mac !== '' && JSON.stringify(has) === JSON.stringify(shown);
}

async function removedMeanwhile(host: Host) {
  await host.weave('launch', '--local');
  await network(host, 'one', '10.50.0.0/24');
  await network(host, 'two', '10.51.0.0/24');
  await run(host, 'crash', 'two', '--restart', 'always');
  const before = await links(host);
  await network(host, 'gone', '10.52.0.0/24');
  await run(host, 'web', 'one');
  const [web, crash] = await Promise.all(['web', 'crash'].map((name) => inspect(host, name, '.State.Pid')));
  await killDaemon(host);
  await host.exec(`kill -KILL ${web} ${crash}`);
  await Promise.all([host.docker('rm', '-f', 'web'), host.docker('network', 'rm', 'gone')]);
  const state = () => inspect(host, 'crash', '.State.Status}} {{.State.Error');
  const crashed = await until(state, (s) => /^exited .+/.test(s), 60_000);
  await host.weave('launch', '--local');
  const after = await settled(() => links(host), before);
  const back = await settled(() => isConnected(host, 'crash', 'two'), true);
  await run(host, 'next', 'one');
  await network(host, 'again', '10.52.0.0/24');
  const next = await addressOf(host, 'next', 'one');
  return { before, crashed, after, back, next, agrees: await checked(host) };
}

async function neverUsed(host: Host) {
  const call = (method: string, body: object) =>
    host.json([
      'curl',
      '-s',
      '--unix-socket',
      '/run/docker/plugins/weave.sock',
      '-d',
      JSON.stringify(body),
      `http://weave/IpamDriver.${method}`,
    ]);
  await host.weave('launch', '--local');
  await network(host, 'one', '10.50.0.0/24');
  const given = [
    await call('RequestAddress', { PoolID: 'weave:10.50.0.0/24' }),
    await call('RequestPool', { AddressSpace: 'weave-local', Pool: '10.51.0.0/24' }),
  ];
  await killDaemon(host);
  await host.weave('launch', '--local');
  await run(host, 'soon', 'one');
  const soon = await addressOf(host, 'soon', 'one');
  const [refused] = await Promise.allSettled([network(host, 'two', '10.51.0.0/24')]);
  await sleep(13_000);
  await run(host, 'later', 'one');
  await network(host, 'two', '10.51.0.0/24');
  const later = await addressOf(host, 'later', 'one');
  return { given, soon, refused, later, agrees: await checked(host) };
}

async function comesLate(host: Host) {
  await host.weave('launch', '--local');
  await network(host, 'one', '10.50.0.0/24');
  await host.docker('network', 'create', '-d', 'weavemesh', '--subnet', '10.51.0.0/24', 'two');
  await run(host, 'always', 'one', '--restart', 'always');
  await run(host, 'unless', 'two', '--restart', 'unless-stopped');
  await run(host, 'stopped', 'one', '--restart', 'unless-stopped');
  await run(host, 'never', 'one');
  await host.docker('stop', 'stopped');
  await host.dockerd.stop();
  await host.weave('stop');
  await host.dockerd.start();
  const given = await states(host);
  await host.weave('launch', '--local');
  const wanted = ['always running', 'never exited', 'stopped exited', 'unless running'];
  const after = await settled(() => states(host), wanted);
  const connected = [await isConnected(host, 'always', 'one'), await isConnected(host, 'unless', 'two')];
  const log = (await host.exec('cat /var/log/weave.log')).stdout;
  return { given, wanted, after, connected, log, agrees: await checked(host) };
}

/** How many milliseconds it takes. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return Math.round(performance.now() - begun);
}

/** What the engine does with networks of its own, and how long each takes. */
async function foreign(host: Host, name: string): Promise<Record<string, number>> {
  const commands = [
    ['network', 'create', name],
    ['run', '-d', '--name', name, '--net', name, 'busybox', 'sleep', '3600'],
    ['network', 'connect', 'bridge', name],
    ['stop', '-t', '0', name],
    ['rm', name],
    ['network', 'rm', name],
    ['network', 'ls'],
    ['info'],
  ];
  const taken: Record<string, number> = {};
  for (const args of commands) taken[args.join(' ').replaceAll(name, 'NAME')] = await timed(() => host.docker(...args));
  return taken;
}

async function others(host: Host) {
  const start = () => timed(() => host.dockerd.restart());
  const without = { ...(await foreign(host, 'without')), start: await start() };
  await host.weave('launch', '--local');
  const pid = await daemonPid(host);
  await host.exec(`kill -STOP ${pid}`);
  const starting = { start: await start() };
  await host.exec(`kill -CONT ${pid}`);
  await network(host, 'ours', '10.50.0.0/24');
  await host.exec(`kill -STOP ${pid}`);
  const waits = run(host, 'waits', 'ours');
  const stopped = await foreign(host, 'stopped');
  await host.exec(`kill -CONT ${pid}`);
  await waits;
  const resumed = await isConnected(host, 'waits', 'ours');
  await host.exec(`kill -KILL ${pid}`);
  const ours = Promise.allSettled([run(host, 'late', 'ours'), network(host, 'new', '10.51.0.0/24')]);
  const left = await foreign(host, 'left');
  await host.exec('rm /run/docker/plugins/*');
  const gone = await foreign(host, 'gone');
  return { without, with: { starting, stopped, left, gone }, resumed, ours: await ours };
}

// The engine waits 15 s for each call that nobody answers: so all of these are begun at once.
const [first, second, third, fourth] = lab.hosts as [Host, Host, Host, Host];
const stories = {
  removed: removedMeanwhile(first),
  unused: neverUsed(second),
  late: comesLate(third),
  others: others(fourth),
};
for (const story of Object.values(stories)) story.catch(() => undefined); // its own test tells

test('networks of others, while the daemon is stopped, left its sockets behind, or is gone', async (t) => {
  const { without, with: found, resumed, ours } = await stories.others;
  for (const [when, taken] of Object.entries(found))
    for (const [command, ms] of Object.entries(taken)) {
      const usual = without[command as keyof typeof without]!;
      t.ok(ms < usual + 5000, `${when}: ${command} takes ${ms} ms, and ${usual} without weave`);
    }
  t.equal(resumed, true, 'a container that is to run on ours waits for the daemon, and runs when it goes on');
  t.same(
    ours.map(({ status }) => status),
    ['rejected', 'rejected'],
    'and is given up when there is none',
  );
});

test('what the engine was given before the daemon died, and never used', async (t) => {
  const { given, soon, refused, later, agrees } = await stories.unused;
  t.match(given, [{ Address: '10.50.0.2/24' }, { Pool: '10.51.0.0/24' }]);
  t.equal(soon, '10.50.0.3/24', 'is held for a while, as the engine may call again');
  t.match(refused, { status: 'rejected', reason: /overlaps/ });
  t.equal(later, '10.50.0.2/24', 'and then is free');
  t.equal(agrees, ALL_AGREE);
});

test('the daemon comes when the engine has given up the containers that it restarts', async (t) => {
  const { given, wanted, after, connected, log, agrees } = await stories.late;
  t.strictSame(given, ['always exited', 'never exited', 'stopped exited', 'unless exited']);
  t.strictSame(after, wanted, 'those that should run do, and no others');
  t.strictSame(connected, [true, true], 'with the addresses that the engine shows');
  t.equal(agrees, ALL_AGREE);
  for (const name of ['always', 'unless'])
    t.match(log, new RegExp(`"container":"${name}","error":".*started a container that the engine had given up`));
});

test('while the daemon is away a container and a network are removed, and another container crashes', async (t) => {
  const { before, crashed, after, back, next, agrees } = await stories.removed;
  t.match(crashed, /^exited .*weave\.sock/, 'the engine has given it up');
  t.strictSame(after, before, 'no link is left');
  t.equal(back, true, 'it runs again');
  t.equal(next, '10.50.0.2/24', 'the address of the one that was removed is free');
  t.equal(agrees, ALL_AGREE);
});
