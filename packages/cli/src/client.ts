import { join } from 'node:path';
import { connect, SOCKET, type Weave } from '@weave/sdk/client';
import { Command } from 'commander';
import { runDirOption } from './options.ts';
import { withProgress } from './output.ts';

export interface CommonOptions {
  json?: boolean;
  runDir: string;
}

/** A command that talks to the daemon. */
export const daemonClient = (name: string) =>
  new Command(name).option('--json', 'print JSON, for programs').addOption(runDirOption());

/** Runs `work` with the daemon that the options name. */
export async function withDaemon<T>({ runDir }: { runDir: string }, work: (weave: Weave) => Promise<T>): Promise<T> {
  await using weave = await connect({ socket: join(runDir, SOCKET), check: false });
  return await withProgress('waiting for the daemon', () => work(weave));
}
