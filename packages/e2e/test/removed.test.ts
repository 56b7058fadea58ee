import { setTimeout as sleep } from 'node:timers/promises';
import tap, { test } from 'tap';
import { createLab, type Host, killDaemon } from '../src/index.ts';

const lab = await createLab({ hosts: 2, docker: false });
tap.teardown(() => lab.dispose());
const [a, b] = lab.hosts as [Host, Host];

const weave = (host: Host, ...args: string[]) => host.exec(['weave', ...args], { allowFail: true });
const launch = (host: Host, ...args: string[]) => host.weave('launch', '--local', '--log-level', 'debug', ...args);
const attach = async (host: Host, name: string, ...addresses: string[]) => {
  await host.exec(['ip', 'netns', 'add', name]);
  return (await host.weave('attach', ...addresses, `/run/netns/${name}`)).trim().split(' ')[0]!;
};
const ping = async (host: Host, from: string, to: string) =>
  (await host.exec(['ip', 'netns', 'exec', from, 'ping', '-n', '-c1', '-W1', to], { allowFail: true })).code === 0;
const notices = async (host: Host) =>
  (JSON.parse(await host.weave('status', '--json')) as { notices: string[] }).notices;
const peers = async (host: Host) => [...new Set((await host.weave('status', 'peers')).match(/\(h\d\)/g))].sort();

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 30_000; !(await holds()); await sleep(200))
    if (performance.now() > end) throw new Error(`${holds} did not come true`);
}

test('a host that was removed while it was away is alone, and nothing of it reaches what is not its own any more', async (t) => {
  await launch(a);
  // So that it is the one that begins the cluster.
  await attach(a, 'w');
  await launch(b, a.ip);
  await b.weave('prime');
  const address = await attach(b, 'x');
  await until(() => ping(a, 'w', address));

  await killDaemon(b);
  await until(async () => (await weave(a, 'rmpeer', 'h2')).code === 0);
  t.same(await peers(a), ['(h1)']);
  t.equal(await attach(a, 'y', `${address}/12`), address, 'what it held is free');

  await launch(b);
  await until(async () => (await notices(b)).some((each) => each.includes('removed this one from its cluster')));
  await until(async () => (await peers(b)).length === 1);
  t.same(await peers(b), ['(h2)']);
  t.match(await b.weave('ps'), address, 'what is attached there stays so');
  const fdb = await b.exec('nsenter --net=/run/weave/netns bridge fdb show');
  t.notMatch(fdb.stdout, a.ip, 'it sends nothing to the others');
  t.ok(await ping(a, 'w', address));
  await attach(b, 'z');
  t.ok(await ping(b, 'z', address), 'by itself it goes on');
  await b.weave('check');
  await sleep(3000);
  t.same(await peers(a), ['(h1)'], 'it does not come back by itself');

  await b.weave('stop');
  await launch(b);
  t.match((await notices(b)).join('\n'), 'removed this one from its cluster');
  t.same(await peers(b), ['(h2)']);
});

test('connected again it is of it again, where it has nothing that others have by now', async (t) => {
  await b.weave('connect', a.ip);
  await until(async () => (await b.weave('status', '--json')).includes('both use addresses of'));
  t.same(await peers(a), ['(h1)']);
  for (const name of ['x', 'z']) await b.weave('detach', `/run/netns/${name}`);
  await until(async () => (await peers(a)).length === 2);
  await b.weave('prime');
  await b.exec('ip netns del x');
  const again = await attach(b, 'x');
  await until(() => ping(a, 'w', again));
  t.notMatch((await notices(b)).join('\n'), /removed/);
  for (const host of lab.hosts) await host.weave('check');
});
