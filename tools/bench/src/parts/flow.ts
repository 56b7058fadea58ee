import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { startDaemon } from '../daemon.ts';
import { measured } from '../measure.ts';
import { makeNamespaces } from '../namespaces.ts';

/** Past the ageing of neighbours (a minute) and of forwarding entries (five). */
const MINUTES = 10;
const INTERVAL_S = 0.01;

/** What goes on between containers while the daemon is killed and stays away: pings that are lost, in both families. */
export async function flow(dir: string) {
  const [a, b] = makeNamespaces('f', 2) as [string, string];
  {
    const daemon = await startDaemon(dir);
    await daemon.weave.attach({ netns: a });
    await daemon.weave.attach({ netns: b }, ['10.2.1.2/24', 'fd00:2::2/64']);
    await daemon.weave.attach({ netns: a }, ['10.2.1.1/24', 'fd00:2::1/64']);
    process.kill(daemon.pid, 'SIGKILL');
  }
  const count = (MINUTES * 60) / INTERVAL_S;
  const lost = await Promise.all(
    ['10.2.1.2', 'fd00:2::2'].map(async (to) => {
      const ping = ['ping', '-q', '-i', `${INTERVAL_S}`, '-c', `${count}`, to];
      const { stdout } = await promisify(execFile)('nsenter', [`--net=${a}`, ...ping]);
      const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(stdout)!;
      console.error(`flow: ${to}: ${stdout.trim().split('\n').slice(-2).join('; ')}`);
      return Number(sent) - Number(received);
    }),
  );
  await using again = await startDaemon(dir);
  const { differences } = await again.weave.check();
  return [
    measured([lost[0]! + lost[1]!], {
      name: `of ${2 * count} pings lost while there was no daemon`,
      unit: '',
      atMost: 0,
    }),
    measured([differences.length], { name: 'differences when there is one again', unit: '', atMost: 0 }),
  ];
}
