import { randomInt } from 'node:crypto';
import { LEASE_SECONDS, WeaveError } from '@weave/core';
import type { Connection } from './connection.ts';
import { METHODS } from './messages.ts';

/** A connection with a lease that is kept alive by it: whether both last is judged by the heart, and by nothing else. */
export interface Session {
  readonly connection: Connection;
  readonly lease: number;
  /** There was no lease, or it is not known any more: what there is may have nothing to do with what there was. */
  readonly isNew: boolean;
  /** No change is older that was answered before the session began. */
  readonly revision: number;
  /** It is of no more use. */
  lose(error: unknown): void;
  end(): void;
}

/** Begins one with the lease of the last, or a new one; `key` is one that we may read. `lose` is told when it is lost. */
export async function openSession(
  connection: Connection,
  key: string,
  last: number | undefined,
  lose: (error: unknown) => void,
): Promise<Session> {
  // Only a member that reaches the others answers, and it answers what is so now.
  const { header } = await connection.ask(METHODS.range, { key, limit: 1 });
  const begin = async (lease: number, isNew: boolean): Promise<Session> => {
    const end = await startHeart(connection, lease, lose);
    return { connection, lease, isNew, revision: header!.revision, lose, end };
  };
  const kept = last !== undefined && (await begin(last, false).catch(unlessExpired));
  return kept || begin(await grantLease(connection), true);
}

/** The time from an answer to the next beat, and how long an answer may take. */
const BEAT_MS = 1000;
const MISSED_MS = 2000;

class Expired extends WeaveError {}

function unlessExpired(error: unknown): undefined {
  if (!(error instanceof Expired)) throw error;
}

async function grantLease(connection: Connection): Promise<number> {
  // Of our own choice, as one of etcd's would be too large for a number.
  const id = randomInt(1, 2 ** 47);
  await connection.ask(METHODS.grantLease, { id, ttl: LEASE_SECONDS });
  return id;
}

/** Keeps a lease alive from now on; answers how to end that, once the first beat was answered. */
function startHeart(connection: Connection, id: number, lose: (error: unknown) => void): Promise<() => void> {
  const { promise, resolve, reject } = Promise.withResolvers<() => void>();
  let timer: NodeJS.Timeout;
  let hasBegun = false;

  const talk = connection.talk(METHODS.keepAlive, {
    hear({ ttl }) {
      if (ttl <= 0) return fail(new Expired('WEAVE_DIRECTORY_UNREACHABLE', 'the lease in etcd has expired'));
      clearTimeout(timer);
      timer = setTimeout(beat, BEAT_MS);
      hasBegun = true;
      resolve(stop);
    },
    ended: fail,
  });

  function beat(): void {
    talk.say({ id });
    const waiting = setTimeout(() => {
      // An answer may be there already: this process may have had no time to read it.
      setImmediate(() => timer === waiting && fail(silent(connection)));
    }, MISSED_MS);
    timer = waiting;
  }
  function stop(): void {
    clearTimeout(timer);
    talk.end();
  }
  function fail(error: unknown): void {
    stop();
    if (hasBegun) lose(error);
    else reject(error);
  }
  beat();
  return promise;
}

const silent = ({ endpoint }: Connection) =>
  new WeaveError('WEAVE_DIRECTORY_UNREACHABLE', `etcd at ${endpoint} does not answer any more`);
