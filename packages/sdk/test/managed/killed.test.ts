import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { t } from 'tap';
import { inOwnNamespace } from '../own-namespace.ts';
import { until } from './hosts.ts';
import { hostProcesses, together } from './processes.ts';

await inOwnNamespace(import.meta.filename, async () => {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);

  t.test('a killed daemon’s etcd goes on, and is taken over', async (t) => {
    await using hosts = hostProcesses();
    const a = hosts.add('a', []);
    const b = hosts.add('b', [a.address]);
    await together(a, b);
    const pids = a.etcdPids;
    t.equal(pids.length, 1);
    await a.kill();
    const c = hosts.add('c', [b.address]);
    await until('another joins meanwhile', () => c.told?.hosts.length === 3);
    t.same(a.etcdPids, pids);
    a.start();
    await together(a, b, c);
    t.same(a.etcdPids, pids, 'the same, and no second one');
    t.match(a.log, /taken over/);
    await a.stop();
    t.same(a.etcdPids, [], 'what is stopped is not left running');
  });

  t.test(
    'a killed daemon’s etcd goes on as the voter that it is, also where its host is another one now',
    async (t) => {
      await using hosts = hostProcesses();
      const a = hosts.add('a', []);
      const b = hosts.add('b', [a.address]);
      await together(a, b);
      await a.kill();
      a.start('n');
      await until('it has that name', () => a.told?.voters.join() === 'n');
      await until('with what it had', () => a.told?.hosts.sort().join('') === 'abn');
      t.equal(a.etcdPids.length, 1);
      t.ok(existsSync(join(a.stateDir, 'cluster', a.told!.cluster!, 'etcd-first', 'member')));
      await until('the others too', () => b.told?.voters.join() === 'n');
    },
  );

  t.test('a killed etcd is started again, with what it had', async () => {
    await using hosts = hostProcesses();
    const a = hosts.add('a', []);
    const b = hosts.add('b', [a.address]);
    await together(a, b);
    const [pid] = a.etcdPids;
    process.kill(pid!, 'SIGKILL');
    await until('another runs', () => a.etcdPids.length === 1 && a.etcdPids[0] !== pid);
    const c = hosts.add('c', [b.address]);
    await together(a, b, c);
  });

  t.test('a store of one that is lost is said to be, and is no other one', async (t) => {
    await using hosts = hostProcesses();
    const a = hosts.add('a', []);
    const b = hosts.add('b', [a.address]);
    await together(a, b);
    const { cluster } = a.told!;
    await a.stop();
    rmSync(join(a.stateDir, 'cluster', cluster!, 'etcd-first'), { recursive: true });
    a.start();
    await until('it is there', () => a.told?.cluster === cluster);
    await delay(1000);
    t.same(a.etcdPids, [], 'an empty one would make all hosts think that they are alone');
    t.match(a.log, /store.*lost/);
  });
});
