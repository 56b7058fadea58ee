import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { t } from 'tap';
import { etcdApi } from '../../src/managed/etcd-api.ts';
import { inOwnNamespace } from '../own-namespace.ts';
import { createHosts, type Hosts, type TestHost, together, until } from './hosts.ts';
import { etcdsOf } from './processes.ts';

async function cluster(hosts: Hosts, names: string): Promise<TestHost[]> {
  const all: TestHost[] = [];
  for (const name of names) all.push(await hosts.add(name));
  for (const host of all.slice(1)) await host.managed.connect([all[0]!.address]);
  await together(...all);
  await hosts.alive(all[0]!, ...all);
  return all;
}

const voters = (through: TestHost, names: string) =>
  until(`${names} are voters`, () => [...through.managed.status().voters].sort().join('') === names, 90_000);

async function withKey<T>(through: TestHost, work: (api: ReturnType<typeof etcdApi>) => Promise<T>): Promise<T> {
  const { endpoints, tls } = through.managed.store!;
  const api = etcdApi(() => endpoints, tls);
  return work(api).finally(() => api.close());
}
const KEY = '/weave/network/n1';
const put = (through: TestHost) => withKey(through, (api) => api.commit([], [{ key: KEY, value: 'as before' }]));
const get = async (through: TestHost) => (await withKey(through, (api) => api.look([KEY]))).found.get(KEY)?.value;

await inOwnNamespace(import.meta.filename, async () => {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);

  t.test('of two one votes, of three all; who is removed is replaced; nothing is lost', async (t) => {
    await using hosts = createHosts({ password: 'correct horse' });
    const [a, b] = (await cluster(hosts, 'ab')) as [TestHost, TestHost];
    await put(b);
    t.same(a.managed.status().voters, ['a']);
    const [c, d] = [await hosts.add('c'), await hosts.add('d')];
    const told: string[] = [];
    b.managed.onChange((store) => told.push(`${store?.endpoints.length}`));
    await c.managed.connect([b.address]);
    await hosts.alive(a, c);
    await voters(b, 'abc');
    await until('their clients know', () => b.managed.store?.endpoints.length === 3);
    t.match(told.at(-1), '3');
    await d.managed.connect([c.address]);
    await hosts.alive(a, d);
    await together(a, b, c, d);

    await a.stop();
    t.equal(await get(d), 'as before', 'the others go on');
    await b.managed.remove('a');
    await hosts.dead(b, a);
    await voters(d, 'bcd');
    t.equal(await get(d), 'as before');
    await a.start();
    await until('it notices', () => a.managed.status().removed);
    t.equal(a.managed.store, undefined);
    await until('it runs no etcd', () => etcdsOf(a.stateDir).length === 0);
    await a.managed.connect([b.address]);
    await together(a, b, c, d);
  });

  t.test('a voter that is dead for long is replaced; with nobody else there it is waited for', async (t) => {
    await using hosts = createHosts({ graceMs: 3000 });
    const [a, b, c] = (await cluster(hosts, 'abc')) as [TestHost, TestHost, TestHost];
    await voters(a, 'abc');
    await put(a);
    await c.stop();
    await hosts.dead(a, c);
    await t.rejects(until('it is given up', () => a.managed.status().voters.length < 3, 6000));
    const d = await hosts.add('d');
    await d.managed.connect([a.address]);
    await hosts.alive(a, d);
    await voters(b, 'abd');
    t.equal(await get(d), 'as before');
    await c.start();
    await hosts.alive(a, c);
    await until('whom it replaced runs no etcd', () => etcdsOf(c.stateDir).length === 0);
    t.equal(await get(c), 'as before');
  });

  t.test('who has the only vote and leaves hands it over', async (t) => {
    await using hosts = createHosts();
    const [a, b] = (await cluster(hosts, 'ab')) as [TestHost, TestHost];
    await put(a);
    t.equal(await a.managed.leave(), true);
    t.equal(a.managed.store, undefined);
    t.same(readdirSync(join(a.stateDir, 'cluster')).sort(), ['cluster.json', 'control.crt', 'control.key']);
    await voters(b, 'b');
    t.equal(await get(b), 'as before');
    t.equal(await b.managed.leave(), true, 'the last one too');
    t.same(
      [a, b].flatMap(({ stateDir }) => etcdsOf(stateDir)),
      [],
    );
  });

  t.test('a voter whose data is lost comes anew', async (t) => {
    await using hosts = createHosts();
    const [a, , c] = (await cluster(hosts, 'abc')) as [TestHost, TestHost, TestHost];
    await voters(a, 'abc');
    await put(a);
    await c.stop();
    const folder = join(c.stateDir, 'cluster', a.managed.store!.clusterId);
    for (const name of readdirSync(folder))
      if (/^etcd-\d+$/.test(name)) rmSync(join(folder, name), { recursive: true });
    await c.start();
    await until('its etcd runs', () => etcdsOf(c.stateDir).length === 1);
    await voters(c, 'abc');
    t.equal(await get(c), 'as before');
  });
});
