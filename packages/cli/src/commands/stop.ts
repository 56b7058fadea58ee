import { setTimeout as delay } from 'node:timers/promises';
import { isWeaveError, WeaveError } from '@weave/sdk/client';
import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { examples, stateDirOption } from '../options.ts';
import { failWith, print, withProgress } from '../output.ts';
import { isBehindEngine } from '../remote/where.ts';

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
    .option('--force', 'also where the daemon’s container does not run, and the other hosts cannot be told')
    .option('--images', 'remove its images as well')
    .addOption(stateDirOption())
    .addHelpText('after', examples('weave reset', 'weave reset --images'))
    .action(async (options: ResetOptions) => {
      const { cleanUp, isStopped, removeContainer } = await import('../remote/remote.ts');
      if (!options.force && (await isStopped(options.runDir))) return refuse(options);
      await withProgress('resetting weave', async () => {
        const pid = await stop(options, async (weave) => {
          const status = await weave.status();
          await weave.reset();
          return status;
        });
        if (!pid) await resetAlone(options);
        await removeContainer(options.runDir);
        if (options.images) await cleanUp();
      });
      print({ reset: true }, options.json, () => '');
    });

/** With the exit code of Weave 2.8. */
function refuse({ json }: ResetOptions): void {
  const what = 'weave is not running; unable to remove from cluster';
  const hint = 'Launch it first; or, so that other hosts wait until it is given up: weave reset --force';
  failWith(new WeaveError('WEAVE_NOT_RUNNING', what, { hint }), json ?? false);
  process.exitCode = 1;
}

interface ResetOptions extends CommonOptions {
  stateDir: string;
  force?: boolean;
  images?: boolean;
}

/** No daemon runs: what the last one left is removed by this process in its place, or by one over there. */
async function resetAlone({ stateDir, runDir }: ResetOptions): Promise<void> {
  if (isBehindEngine(runDir)) {
    const { runOnce } = await import('../remote/remote.ts');
    return runOnce(['reset', '--force', '--state-dir', stateDir, '--run-dir', runDir], [stateDir, runDir]);
  }
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
  const { stopContainer } = await import('../remote/remote.ts');
  const stopped = await stopContainer(options.runDir, status?.pid);
  if (stopped !== undefined || !status) return stopped;
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
