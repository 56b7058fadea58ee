import { setTimeout as delay } from 'node:timers/promises';
import { isWeaveError, WeaveError } from '@weave/sdk/client';
import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { examples, stateDirOption } from '../options.ts';
import { print, withProgress } from '../output.ts';

const STOP_WAIT_MS = 25;
/** For 15 s. */
const STOP_TRIES = 600;

export const stopCommand = (): Command =>
  daemonClient('stop')
    .description('stop the daemon; what is attached stays so, and goes on talking')
    .addHelpText('after', examples('weave stop'))
    .action(async (options: CommonOptions) => {
      const pid = await withProgress('stopping weave', () => stop(options, async (weave) => weave.status()));
      print({ stopped: pid ?? null }, options.json, ({ stopped }) => (stopped ? '' : 'weave is not running'));
    });

export const resetCommand = (): Command =>
  daemonClient('reset')
    .description('remove every network and record of this host, and stop the daemon')
    .addOption(stateDirOption())
    .addHelpText('after', examples('weave reset'))
    .action(async (options: ResetOptions) => {
      await withProgress('resetting weave', async () => {
        const pid = await stop(options, async (weave) => {
          const status = await weave.status();
          await weave.reset();
          return status;
        });
        if (!pid) await resetAlone(options);
      });
      print({ reset: true }, options.json, () => '');
    });

interface ResetOptions extends CommonOptions {
  stateDir: string;
}

/** No daemon runs: what the last one left is removed by this process in its place. */
async function resetAlone({ stateDir, runDir }: ResetOptions): Promise<void> {
  const { open } = await import('../daemon.ts');
  await using weave = await open({ stateDir, runDir });
  await weave.reset();
}

type Before = Parameters<typeof withDaemon<{ pid: number }>>[1];

/** Ends the daemon and waits until it is gone; answers its pid, or undefined when none ran. */
async function stop(options: CommonOptions, before: Before): Promise<number | undefined> {
  const status = await withDaemon(options, before).catch((error: unknown) => {
    if (isWeaveError(error) && error.code === 'WEAVE_DAEMON_UNREACHABLE') return undefined;
    throw error;
  });
  if (!status) return undefined;
  const { pid } = status;
  signal(pid, 'SIGTERM');
  for (let tries = 0; signal(pid, 0); tries++) {
    if (tries === STOP_TRIES) throw new WeaveError('WEAVE_DAEMON_BUSY', `the daemon, process ${pid}, does not stop`);
    await delay(STOP_WAIT_MS);
  }
  return pid;
}

/** False when there is no such process any more. */
function signal(pid: number, what: 'SIGTERM' | 0): boolean {
  try {
    return process.kill(pid, what);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
