import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { t } from 'tap';
import { inOwnNamespace } from '../own-namespace.ts';
import { hostProcesses, together } from './processes.ts';

await inOwnNamespace(import.meta.filename, async () => {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);

  t.test('daemon and etcd killed together, while hosts join: at any moment', async (t) => {
    for (const moment of [1700, 1900, 2100, 2300, 2600, 2900]) {
      await using hosts = hostProcesses({ password: 'correct horse' });
      const a = hosts.add('a', []);
      const others = [hosts.add('b', [a.address]), hosts.add('c', [a.address])];
      await delay(moment);
      const killed = moment % 400 === 100 ? a : others[0]!;
      await killed.kill();
      for (const pid of killed.etcdPids) process.kill(pid, 'SIGKILL');
      killed.start();
      await together(a, ...others);
      t.equal([a, ...others].flatMap(({ etcdPids }) => etcdPids).length, 1, `${moment} ms after the start`);
    }
  });
});
