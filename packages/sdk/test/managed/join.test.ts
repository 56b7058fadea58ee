import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { t } from 'tap';
import { inOwnNamespace } from '../own-namespace.ts';
import { createHosts, type TestHost, together } from './hosts.ts';
import { etcdsOf } from './processes.ts';

/** What a program without the cluster's certificate is told by an etcd. */
const asStranger = (endpoint: string, tls: object = {}) =>
  new Promise<string>((resolve) => {
    const options = { method: 'POST', rejectUnauthorized: false, ...tls };
    const sent = request(`https://${endpoint}/v3/kv/range`, options, (response) => resolve(`${response.statusCode}`));
    sent.on('error', ({ message }) => resolve(message)).end('{"key":"AA=="}');
  });

const filesBelow = (dir: string) =>
  readdirSync(dir, { recursive: true, withFileTypes: true }).map((entry) => ({
    path: join(entry.parentPath, entry.name),
    mode: statSync(join(entry.parentPath, entry.name)).mode & 0o077,
  }));

const begun = (hosts: readonly TestHost[]) =>
  hosts.flatMap(({ log }) => log.filter(({ message }) => message === 'a cluster begins here')).length;

await inOwnNamespace(import.meta.filename, async () => {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);

  t.test('a host that is alone runs no etcd', async (t) => {
    await using hosts = createHosts();
    const a = await hosts.add('a');
    await delay(500);
    t.equal(a.managed.store, undefined);
    t.same(etcdsOf(a.stateDir), []);
  });

  t.test('two hosts are one cluster; its etcd answers them and nobody else', async (t) => {
    await using hosts = createHosts();
    const [a, b] = [await hosts.add('a'), await hosts.add('b')];
    const told: unknown[] = [];
    b.managed.onChange((store) => told.push(store?.clusterId));
    await b.managed.connect([a.address]);
    await together(a, b);
    t.match(told, [a.managed.store?.clusterId]);
    t.match(a.managed.status().notices, [/no password/]);
    const { endpoints, tls } = b.managed.store!;
    t.equal(await asStranger(endpoints[0]!, tls), '200');
    t.match(await asStranger(endpoints[0]!), /certificate|ECONNRESET|alert/i);
    t.match(
      await asStranger(endpoints[0]!.replace('6785', '6786')),
      /certificate|ECONNRESET|alert/i,
      'nor its peers’ port',
    );
    for (const { stateDir } of [a, b]) for (const { path, mode } of filesBelow(stateDir)) t.equal(mode, 0, path);
  });

  t.test('with the password, and not without', async (t) => {
    await using hosts = createHosts();
    const a = await hosts.add('a', { password: 'correct horse' });
    const [b, wrong, none] = [
      await hosts.add('b', { password: 'correct horse' }),
      await hosts.add('c', { password: 'battery staple' }),
      await hosts.add('d'),
    ];
    for (const host of [wrong, none]) {
      await t.rejects(host.managed.connect([a.address]), { code: 'WEAVE_JOIN_DENIED', kind: 'denied' });
      await t.rejects(a.managed.connect([host.address]), { code: 'WEAVE_JOIN_DENIED' }, 'nor the other way round');
      t.same(host.managed.status().targets, [], 'it is not tried on');
    }
    t.equal(a.managed.store, undefined, 'nothing began');
    await b.managed.connect([a.address]);
    await together(a, b);
    await t.rejects(wrong.managed.connect([a.address]), { code: 'WEAVE_JOIN_DENIED' });
    t.same(a.managed.status().notices, []);
    await b.stop();
    await b.start({ password: undefined });
    t.ok(b.managed.store, 'a member needs no password to be one');
    await t.rejects(none.managed.connect([b.address]), { code: 'WEAVE_JOIN_DENIED' }, 'but lets nobody in without');
  });

  t.test('two clusters that meet stay two', async (t) => {
    await using hosts = createHosts();
    const [a, b, c, d] = [await hosts.add('a'), await hosts.add('b'), await hosts.add('c'), await hosts.add('d')];
    await b.managed.connect([a.address]);
    await d.managed.connect([c.address]);
    await together(a, b);
    await together(c, d);
    const before = [a, c].map(({ managed }) => managed.store?.clusterId);
    await t.rejects(d.managed.connect([a.address]), { code: 'WEAVE_OTHER_CLUSTER', hint: /weave reset/ });
    t.same(
      [b, d].map(({ managed }) => managed.store?.clusterId),
      before,
    );
    t.equal(await d.managed.leave(), true);
    await d.managed.connect([a.address]);
    await together(a, b, d);
  });

  t.test('two that connect to each other, and five that all do, at the same moment', async (t) => {
    for (const count of [2, 5]) {
      await using hosts = createHosts();
      const targets = Array.from({ length: count }, (_, n) => `127.77.0.${n + 1}`);
      const all = await Promise.all(targets.map((_, n) => hosts.add(`host${(n * 3) % count}`, { targets })));
      await together(...all);
      t.equal(begun(all), 1, 'one of them began it');
    }
  });

  t.test('a chain of four, whose names go against it', async (t) => {
    await using hosts = createHosts();
    const all = await Promise.all(
      [4, 3, 2, 1].map((name, n) => hosts.add(`host${name}`, { targets: n === 0 ? [] : [`127.77.0.${n}`] })),
    );
    await together(...all);
    t.equal(begun(all), 1);
  });

  t.test('thirty join one that is alone, at once', async (t) => {
    await using hosts = createHosts({ password: 'correct horse' });
    const first = await hosts.add('host');
    const others = await Promise.all(Array.from({ length: 30 }, (_, n) => hosts.add(`host${n}`)));
    await Promise.all(others.map(({ managed }) => managed.connect([first.address])));
    await together(first, ...others);
    t.equal(begun([first, ...others]), 1);
  });
});
