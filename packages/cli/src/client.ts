import { join } from 'node:path';
import type { Weave } from '@weave/sdk';
import { connect } from '@weave/sdk/client';
import { Command } from 'commander';

export interface CommonOptions {
  json?: boolean;
  runDir: string;
}

/** A command that talks to the daemon. */
export const daemonClient = (name: string) =>
  new Command(name)
    .option('--json', 'print JSON, for programs')
    .option('--run-dir <dir>', 'where the daemon listens', process.env.WEAVE_RUN_DIR ?? '/run/weave');

/** Runs `work` with the daemon that the options name. */
export async function withDaemon<T>({ runDir }: { runDir: string }, work: (weave: Weave) => Promise<T>): Promise<T> {
  await using weave = await connect({ socket: join(runDir, 'weave.sock') });
  return await work(weave);
}
