import type { Condition, Directory, Write } from '@weave/core';
import { keys, WeaveError } from '@weave/core';
import type { Host } from '../host.ts';
import type { Timers } from './timers.ts';

/** What the parts of a cluster work on. */
export interface Context {
  readonly host: Host;
  readonly directory: Directory;
  readonly timers: Timers;
  /** The revision of this host's own record there, 0 before it has one: see {@link commitAsMember}. */
  fence: number;
  reachable: boolean;
  /** This host's own record is not what it was: it was removed, or its directory lost. */
  onFenced(): void;
}

/**
 * A transaction that does nothing once this host was removed from the cluster, and what was its own given to others.
 * Answers its revision, or undefined when a condition does not hold any more.
 */
export async function commitAsMember(
  context: Context,
  when: readonly Condition[],
  writes: readonly Write[],
): Promise<number | undefined> {
  const { directory, host, fence } = context;
  if (fence === 0) throw unreachable('this host has not joined its cluster yet');
  return directory.commit({ when: [{ key: keys.peer(host.state.self), revision: fence }, ...when], writes });
}

export const unreachable = (what: string): WeaveError => new WeaveError('WEAVE_DIRECTORY_UNREACHABLE', what);

/** In parts that fit into one transaction, beside a few conditions. */
export function* chunks<T>(list: readonly T[], size = 100): Generator<T[]> {
  for (let at = 0; at < list.length; at += size) yield list.slice(at, at + size);
}
