import { setTimeout as delay } from 'node:timers/promises';
import { isWeaveError } from '@weave/sdk/client';
import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { stateDirOption } from '../options.ts';
import { print, withProgress } from '../output.ts';

export const stopCommand = (): Command =>
  daemonClient('stop')
    .description('stop the daemon; what is attached stays so, and goes on talking')
    .action(async (options: CommonOptions) => {
      const pid = await withProgress('stopping weave', () => stop(options, async (weave) => weave.status()));
      print({ stopped: pid ?? null }, options.json, ({ stopped }) => (stopped ? '' : 'weave is not running'));
    });

export const resetCommand = (): Command =>
  daemonClient('reset')
    .description('remove every network and record of this host, and stop the daemon')
    .addOption(stateDirOption())
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
  const { open } = await import('@weave/sdk');
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
  process.kill(status.pid, 'SIGTERM');
  for (let tries = 0; isAlive(status.pid) && tries < 600; tries++) await delay(25);
  return status.pid;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
