import { execFileSync } from 'node:child_process';
import { t } from 'tap';
import { inOwnNamespace } from '../own-namespace.ts';
import { clusterOf, createHosts, getKey, putKey, type TestHost, together, until, voters } from './hosts.ts';
import { etcdsOf } from './processes.ts';

await inOwnNamespace(import.meta.filename, async () => {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);

  t.test('of two one votes, of three all; who is removed is replaced; nothing is lost', async (t) => {
    await using hosts = createHosts({ password: 'correct horse' });
    const [a, b] = (await clusterOf(hosts, 'ab')) as [TestHost, TestHost];
    await putKey(b);
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
    t.equal(await getKey(d), 'as before', 'the others go on');
    await b.managed.remove('a');
    await hosts.dead(b, a);
    await voters(d, 'bcd');
    t.equal(await getKey(d), 'as before');
    await a.start();
    await until('it notices', () => a.managed.status().removed);
    t.equal(a.managed.store, undefined);
    await until('it runs no etcd', () => etcdsOf(a.stateDir).length === 0);
    await a.managed.connect([b.address]);
    await together(a, b, c, d);
  });

  t.test('a voter that is dead for long is replaced; with nobody else there it is waited for', async (t) => {
    await using hosts = createHosts({ graceMs: 3000 });
    const [a, b, c] = (await clusterOf(hosts, 'abc')) as [TestHost, TestHost, TestHost];
    await voters(a, 'abc');
    await putKey(a);
    await c.stop();
    await hosts.dead(a, c);
    await t.rejects(until('it is given up', () => a.managed.status().voters.length < 3, 6000));
    const d = await hosts.add('d');
    await d.managed.connect([a.address]);
    await hosts.alive(a, d);
    await voters(b, 'abd');
    t.equal(await getKey(d), 'as before');
    await c.start();
    await hosts.alive(a, c);
    await until('whom it replaced runs no etcd', () => etcdsOf(c.stateDir).length === 0);
    t.equal(await getKey(c), 'as before');
  });
});
