import { setTimeout as sleep } from 'node:timers/promises';
import tap, { test } from 'tap';
import { createLab, type Host, killDaemon } from '../src/index.ts';

const lab = await createLab({ hosts: 2 });
tap.teardown(() => lab.dispose());
const [a, b] = lab.hosts as [Host, Host];

const launch = (host: Host, ...args: string[]) => host.weave('launch', '--local', '--log-level', 'debug', ...args);
const attach = async (host: Host, name: string) => {
  await host.exec(['ip', 'netns', 'add', name]);
  return (await host.weave('attach', `/run/netns/${name}`)).trim().split(' ')[0]!;
};
const ping = async (host: Host, from: string, to: string) =>
  (await host.exec(['ip', 'netns', 'exec', from, 'ping', '-n', '-c1', '-W1', to], { allowFail: true })).code === 0;
const peers = async (host: Host) => (await host.weave('status', 'peers')).match(/^\S+\(h\d\)$/gm)?.sort();
const etcds = async (host: Host) => (await host.exec('pgrep -x etcd', { allowFail: true })).stdout.trim();
const inStep = async (host: Host) => {
  const { cluster } = JSON.parse(await host.weave('status', '--json')) as {
    cluster?: { id?: string; reachable: boolean; problem?: string };
  };
  return cluster?.id !== undefined && cluster.reachable && cluster.problem === undefined;
};

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 60_000; !(await holds()); await sleep(200))
    if (performance.now() > end) throw new Error(`it does not come to be that ${what}`);
}

test('a host of a cluster whose records are lost is the same one, with what it held', async (t) => {
  await launch(a);
  // So that it is the one that begins the cluster, and has its store.
  const onA = await attach(a, 'w');
  await launch(b, a.ip);
  await b.weave('prime');
  const onB = await attach(b, 'x');
  await until('they reach each other', () => ping(a, 'w', onB));
  const [known, etcd] = [await peers(a), await etcds(a)];
  t.equal(known?.length, 2);

  for (const host of [b, a]) {
    await killDaemon(host);
    await host.exec('rm /var/lib/weave/weave.db*');
    await launch(host);
    await until('it is of its cluster', () => inStep(host));
    await until('they reach each other again', () => ping(a, 'w', onB));
    for (const each of lab.hosts) t.same(await peers(each), known);
    await host.weave('check');
  }
  t.equal(await etcds(a), etcd, 'the store goes on as it was');
  const late = [await attach(a, 'y'), await attach(b, 'z')];
  t.equal(new Set([onA, onB, ...late]).size, 4);
  await until('they reach each other', () => ping(a, 'y', late[1]!));
  t.ok(await ping(b, 'x', onA));
});

test('what runs on its engine has what it had, and nobody is given that', async (t) => {
  await b.weave('network', 'create', '--subnet', '10.9.0.0/24', 'blue');
  const run = (host: Host, name: string) =>
    host.docker('run', '-d', '--name', name, '--net', 'blue', 'busybox', 'sleep', '3600');
  const addressOf = (host: Host, name: string) =>
    host.docker('inspect', '-f', '{{.NetworkSettings.Networks.blue.IPAddress}}', name);
  const isKnown = async () => (await a.docker('network', 'ls', '-q', '-f', 'name=^blue$')) !== '';
  await until('the engine knows it', isKnown);
  await run(a, 'web');
  await run(b, 'from');
  const web = await addressOf(a, 'web');
  const reaches = async () =>
    (await b.exec(['docker', 'exec', 'from', 'ping', '-c1', '-W1', web], { allowFail: true })).code === 0;
  await until('they reach each other', reaches);

  await killDaemon(a);
  await a.exec('rm /var/lib/weave/weave.db*');
  await launch(a);
  const shows = async (name: string) => (await a.weave('network', 'inspect', 'blue')).includes(name);
  await until('its engine was heard', () => shows('web'));
  await run(a, 'late');
  t.not(await addressOf(a, 'late'), web);
  await until('they reach each other again', reaches);
  for (const host of lab.hosts) await host.weave('check');
});
