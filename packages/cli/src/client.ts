import { join } from 'node:path';
import { connect, SOCKET, type Weave } from '@weave/sdk/client';
import { Command } from 'commander';
import { runDirOption } from './options.ts';
import { withProgress } from './output.ts';
import { isBehindEngine } from './remote/where.ts';

export interface CommonOptions {
  json?: boolean;
  runDir: string;
}

/** A command that talks to the daemon. */
export const daemonClient = (name: string) =>
  new Command(name).option('--json', 'print JSON, for programs').addOption(runDirOption());

/** Runs `work` with the daemon that the options name: of this host, or where DOCKER_HOST says. */
export async function withDaemon<T>({ runDir }: { runDir: string }, work: (weave: Weave) => Promise<T>): Promise<T> {
  await using weave = await reach(runDir);
  return await withProgress('waiting for the daemon', () => work(weave));
}

/** The daemon itself, for what has the terminal: nothing is said while it is waited for. */
export async function reach(runDir: string): Promise<Weave> {
  if (!isBehindEngine(runDir)) return connect({ socket: join(runDir, SOCKET), check: false });
  // Loaded only here: on the daemon's own host, root does without the engine.
  const { connectThroughEngine } = await import('./remote/remote.ts');
  return connectThroughEngine();
}
