import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { t } from 'tap';
import { inOwnNamespace } from '../own-namespace.ts';
import { clusterOf, createHosts, getKey, putKey, type TestHost, together, until, voters } from './hosts.ts';
import { etcdsOf } from './processes.ts';

const epochOf = ({ stateDir }: TestHost): number =>
  JSON.parse(readFileSync(join(stateDir, 'cluster', 'cluster.json'), 'utf8')).current.epoch;

await inOwnNamespace(import.meta.filename, async () => {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);

  t.test('who has the only vote and leaves hands it over', async (t) => {
    await using hosts = createHosts();
    const [a, b] = (await clusterOf(hosts, 'ab')) as [TestHost, TestHost];
    await putKey(a);
    t.equal(await a.managed.leave(), true);
    t.equal(a.managed.store, undefined);
    t.same(readdirSync(join(a.stateDir, 'cluster')).sort(), ['cluster.json', 'control.crt', 'control.key']);
    await voters(b, 'b');
    t.equal(await getKey(b), 'as before');
    t.equal(await b.managed.leave(), true, 'the last one too');
    t.same(
      [a, b].flatMap(({ stateDir }) => etcdsOf(stateDir)),
      [],
    );
  });

  t.test('a voter whose data is lost comes anew', async (t) => {
    await using hosts = createHosts();
    const [a, , c] = (await clusterOf(hosts, 'abc')) as [TestHost, TestHost, TestHost];
    await voters(a, 'abc');
    await putKey(a);
    await c.stop();
    const folder = join(c.stateDir, 'cluster', a.managed.store!.clusterId);
    for (const name of readdirSync(folder))
      if (/^etcd-\d+$/.test(name)) rmSync(join(folder, name), { recursive: true });
    await c.start();
    await until('its etcd runs', () => etcdsOf(c.stateDir).length === 1);
    await voters(c, 'abc');
    t.equal(await getKey(c), 'as before');
  });

  t.test('a store that is lost is begun anew; who comes back with the old one leaves it', async (t) => {
    await using hosts = createHosts({ password: 'correct horse' });
    const [a, b] = (await clusterOf(hosts, 'ab')) as [TestHost, TestHost];
    await t.rejects(b.managed.rebuild(), { code: 'WEAVE_INVALID_REQUEST', message: /answers/ });
    await putKey(a);
    await a.stop();
    await b.managed.rebuild();
    const added = await hosts.add('c');
    await added.managed.connect([b.address]);
    await together(b, added);
    t.equal(await getKey(b), undefined, 'it is empty');
    await a.start();
    await together(a, b, added);
    t.same(a.managed.store?.endpoints, b.managed.store?.endpoints);
    t.same(etcdsOf(a.stateDir), []);
  });

  t.test('a store that two hosts begin anew at once is one in the end', async (t) => {
    await using hosts = createHosts();
    const [a, b, c] = (await clusterOf(hosts, 'abc')) as [TestHost, TestHost, TestHost];
    const folder = a.managed.store!.clusterId;
    for (const host of [a, b, c]) {
      await host.stop();
      const at = join(host.stateDir, 'cluster', folder);
      for (const name of readdirSync(at)) if (name.startsWith('etcd-')) rmSync(join(at, name), { recursive: true });
    }
    await Promise.all([b.start(), c.start()]);
    await Promise.all([b.managed.rebuild(), c.managed.rebuild()]);
    await together(b, c);
    await until('both know where', () => b.managed.store?.endpoints.join() === c.managed.store?.endpoints.join());
    t.equal([b, c].flatMap(({ stateDir }) => etcdsOf(stateDir)).length, 1);
    await a.start();
    await together(a, b, c);
    await until('all know which it is', () => new Set([a, b, c].map(epochOf)).size === 1);
  });
});
