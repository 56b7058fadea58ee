import { setTimeout as delay } from 'node:timers/promises';
import { inBackground, type Log, type Weave } from '@weave/sdk';
import type Docker from 'dockerode';
import { startGivenUp } from './given-up.ts';
import { PLUGIN_NAMES } from './plugin.ts';
import { type Holdings, inspector, snapshot } from './snapshot.ts';

/** A call that found nobody is made again after 1, 2, 4 and 8 s: what then has not come does not come any more. */
const LAST_CALLS_MS = 12_000;

export interface Connection {
  weave: Weave;
  docker: Docker;
  log: Log;
  /** What Weave had before it. */
  held: Holdings;
  /** Aborts when it ends. */
  signal: AbortSignal;
}

/** Tells Weave what the engine has. What was given to the engine is not judged yet: it may be about to use it. */
export const firstLook = (connection: Connection): Promise<void> => look(connection, connection.held.ids);

const look = ({ weave, docker, log, signal }: Connection, before: string[]): Promise<void> =>
  inBackground(log, 'the engine could not be reported', async () =>
    weave.engine.report(await snapshot(weave, docker, before, signal)),
  );

/** What can wait until the events are followed: what failed while nobody answered, and what was left over from it. */
export async function catchUp(connection: Connection): Promise<void> {
  await again(connection);
  await delay(LAST_CALLS_MS, undefined, { signal: connection.signal }).catch(() => undefined);
  if (connection.signal.aborted) return;
  await look(connection, [...connection.held.ids, ...connection.held.grants]);
  await again(connection);
}

const again = ({ docker, log, signal }: Connection): Promise<void> =>
  inBackground(log, 'what the engine gave up could not be looked for', async () => {
    const listed = await docker.listNetworks({ filters: { driver: [...PLUGIN_NAMES] }, abortSignal: signal });
    const networks = listed.map(({ Id }) => Id);
    await startGivenUp(docker, inspector(docker, signal), networks, log, signal);
  });
