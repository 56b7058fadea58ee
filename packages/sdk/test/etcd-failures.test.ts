import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Directory, News } from '@weave/core';
import { type Test, t } from 'tap';
import { type EtcdOptions, etcdDirectory } from '../src/etcd.ts';
import { base64, EtcdServer, Wire } from './etcd-server.ts';

// They wait most of the time.
t.jobs = 3;

async function started(t: Test, flags: string[] = [], count = 1): Promise<EtcdServer[]> {
  const servers = await EtcdServer.start(flags, count);
  t.teardown(() => Promise.all(servers.map((server) => server[Symbol.asyncDispose]())));
  return servers;
}

async function opened(t: Test, options: EtcdOptions): Promise<Directory> {
  const directory = await etcdDirectory(options);
  t.teardown(() => directory.close());
  return directory;
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<number> {
  const begun = performance.now();
  while (!(await condition())) {
    if (performance.now() - begun > 30_000) throw new Error(`waited in vain: ${what}`);
    await delay(10);
  }
  return performance.now() - begun;
}

/** What a directory tells, and whether it answers. */
function listener(directory: Directory, prefix = '') {
  const told: string[] = [];
  const reach: boolean[] = [];
  directory.follow(prefix, (news: News) => {
    if (news.kind === 'all') told.push(`all ${news.entries.length}`);
    else told.push(...news.gone.map((key) => `-${key}`), ...news.entries.map(({ value }) => value));
  });
  directory.onReach((reachable) => reach.push(reachable));
  return { told, reach, answers: () => reach.at(-1) === true };
}

const put = (directory: Directory, key: string, value: string) => directory.commit({ writes: [{ key, value }] });
const works = (directory: Directory, key: string, value: string) => () =>
  put(directory, key, value).then(Boolean, () => false);

t.test('killed and started again: it goes on from where it was, lease and all', { buffered: true }, async (t) => {
  const [server] = await started(t);
  const [directory, other] = [
    await opened(t, { endpoints: [server!.endpoint] }),
    await opened(t, { endpoints: [server!.endpoint] }),
  ];
  const { told, reach, answers } = listener(directory);
  await until(() => told.length > 0 && answers(), 'it follows');
  await directory.commit({ writes: [{ key: 'alive', value: 'leased', leased: true }] });
  await until(() => told.length === 2, 'it is told');
  await server!.kill();
  await until(() => !answers(), 'it is told of it');
  await t.rejects(directory.list(''), { code: 'WEAVE_DIRECTORY_UNREACHABLE', kind: 'unavailable' });
  await server!.run();
  await until(works(other, 'k', 'other came back'), 'the other is back');
  await until(() => told.includes('other came back'), 'nothing was missed');
  t.strictSame(told.slice(0, 2), ['all 0', 'leased']);
  t.notMatch(told.slice(1), [/^all/], 'nor told again');
  t.notOk(told.includes('-alive'), 'the lease lives');
  t.strictSame(reach.slice(-3), [true, false, true]);
});

t.test('hung: noticed in seconds, and no connection is left of it', { buffered: true }, async (t) => {
  const [server] = await started(t);
  const directory = await opened(t, { endpoints: [server!.endpoint] });
  const { told, answers } = listener(directory);
  await until(() => told.length > 0 && answers(), 'it follows');
  server!.freeze();
  const took = await until(() => !answers(), 'it does not answer');
  t.ok(took < 20_000, `noticed after ${Math.round(took)} ms`);
  await t.rejects(directory.list(''), { code: 'WEAVE_DIRECTORY_UNREACHABLE' });
  for (let n = 0; n < 8; n++) {
    await delay(1000);
    t.ok(socketsTo(server!.endpoint) <= 1, 'of many attempts one connection is left at most');
  }
  server!.thaw();
  await until(answers, 'it answers again');
  await put(directory, 'k', 'again');
  await until(() => told.includes('again'), 'it follows again');
});

/** Sockets of this process that lead there. */
function socketsTo(endpoint: string): number {
  const port = Number(endpoint.split(':')[1]).toString(16).toUpperCase().padStart(4, '0');
  const rows = readFileSync('/proc/self/net/tcp', 'utf8').split('\n').slice(1, -1);
  const there = rows.map((row) => row.trim().split(/\s+/)).filter((row) => row[2]!.endsWith(`:${port}`));
  const ours = new Set(readdirSync('/proc/self/fd').map(linkOf));
  return there.filter((row) => ours.has(`socket:[${row[9]}]`)).length;
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return 'closed meanwhile';
  }
}

t.test(
  'of three members one is lost: another takes over, and nothing is left out or told again',
  { buffered: true },
  async (t) => {
    const servers = await started(t, [], 3);
    const endpoints = servers.map(({ endpoint }) => endpoint);
    const directory = await opened(t, { endpoints });
    const other = await opened(t, { endpoints });
    const { told, answers } = listener(directory);
    await until(() => told.length > 0 && answers(), 'it follows');
    const expected = ['all 0'];
    for (const server of servers) {
      await server.kill();
      for (let n = 0; n < 10; n++) {
        const value = `${expected.length}`;
        await until(works(other, 'k', value), 'another takes over');
        expected.push(value);
      }
      await server.run();
    }
    await until(() => told.includes(expected.at(-1)!), 'the last');
    // One that was rejected may have been done all the same, and then there were two.
    t.strictSame(
      told.filter((value, n) => value !== told[n - 1]),
      expected,
    );
  },
);

t.test('a member without the others does not answer; two of three do', { buffered: true }, async (t) => {
  const [first, second, third] = await started(t, [], 3);
  const directory = await opened(t, { endpoints: [first!.endpoint] });
  const { told, answers } = listener(directory);
  await until(() => told.length > 0 && answers(), 'it follows');
  await Promise.all([second!.kill(), third!.kill()]);
  await until(() => !answers(), 'it is told of it');
  await t.rejects(put(directory, 'k', 'lost'), { code: 'WEAVE_DIRECTORY_UNREACHABLE' });
  await second!.run();
  await until(answers, 'it answers again');
  await until(works(directory, 'k', 'done'), 'it can be written');
  await until(() => told.includes('done'), 'it is told');
});

t.test('an endpoint that is silent is given up for one that answers', { buffered: true }, async (t) => {
  const [server] = await started(t);
  const wires = await Promise.all([1, 2].map(() => Wire.to(server!.endpoint)));
  t.teardown(() => Promise.all(wires.map((wire) => wire[Symbol.asyncDispose]())));
  const directory = await opened(t, { endpoints: wires.map(({ endpoint }) => endpoint) });
  const { told, answers } = listener(directory);
  await until(() => told.length > 0 && answers(), 'it follows');
  const used = wires.find(({ connections }) => connections > 0)!;
  used.cut();
  await put(await opened(t, { endpoints: [server!.endpoint] }), 'k', 'meanwhile');
  await until(() => told.includes('meanwhile'), 'by the other');
  t.strictSame(told, ['all 0', 'meanwhile']);
  t.ok(wires.find((wire) => wire !== used)!.connections > 0);
});

t.test('an etcd that is not there at first', { buffered: true }, async (t) => {
  const [server] = await started(t);
  await server!.kill();
  const directory = await opened(t, { endpoints: [server!.endpoint] });
  const { told, reach, answers } = listener(directory);
  await t.rejects(directory.list(''), { code: 'WEAVE_DIRECTORY_UNREACHABLE', message: server!.endpoint });
  t.strictSame([told, reach], [[], [false]]);
  await server!.run();
  await until(() => answers() && told.length > 0, 'it is there');
  await directory.close();
});

t.test('20,000 keys: listed, followed, and removed at once', { buffered: true }, async (t) => {
  const [server] = await started(t);
  const directory = await opened(t, { endpoints: [server!.endpoint] });
  const other = await opened(t, { endpoints: [server!.endpoint] });
  const keys = Array.from({ length: 20_000 }, (_, n) => `endpoint/${n % 50}/${n}`);
  for (let from = 0; from < keys.length; from += 100)
    await directory.commit({ writes: keys.slice(from, from + 100).map((key) => ({ key, value: `value of ${key}` })) });
  const { entries } = await other.list('endpoint/');
  t.strictSame(
    entries.map(({ key }) => key),
    [...keys].sort(),
  );
  t.ok(entries.every(({ key, value }) => value === `value of ${key}`));
  t.equal((await other.list('endpoint/7/')).entries.length, 400);
  const { told } = listener(other);
  await until(() => told.length > 0, 'everything');
  await directory.commit({ writes: [{ prefix: 'endpoint/', value: null }] });
  await until(() => told.length === 20_001, 'all gone');
  t.equal(told[0], 'all 20000');
});

t.test('each cluster has its own prefix, and sees nothing of what else is there', { buffered: true }, async (t) => {
  const [server] = await started(t);
  const endpoints = [server!.endpoint];
  const [one, two] = [await opened(t, { endpoints, prefix: '/one' }), await opened(t, { endpoints, prefix: '/two' })];
  const { told } = listener(one);
  await until(() => told.length > 0, 'it follows');
  await put(one, 'k', 'one');
  await put(two, 'k', 'two');
  for (const key of ['/on', '/onf', '/zero']) await server!.post('kv/put', { key: base64(key), value: base64('x') });
  t.match((await one.list('')).entries, [{ key: 'k', value: 'one' }]);
  await one.commit({ writes: [{ prefix: '', value: null }] });
  t.equal((await two.list('')).entries.length, 1);
  await until(() => told.at(-1) === '-k', 'gone');
  t.strictSame(told, ['all 0', 'one', '-k']);
  t.equal((await (await opened(t, { endpoints })).list('')).entries.length, 4, 'without one: everything');
});
