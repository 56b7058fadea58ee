import type { Condition, Directory, Endpoint, News, Write } from '@weave/core';
import { isWeaveError, keys, TRANSACTION_CHARACTERS, WeaveError } from '@weave/core';
import type { Carry, Host } from '../host.ts';
import type { Timers } from './timers.ts';

/** What the parts of a cluster work on. */
export interface Context {
  readonly host: Host;
  readonly directory: Directory;
  readonly timers: Timers;
  /** The revision of this host's fence there, 0 while it is not in step: see {@link commitAsMember}. */
  fence: number;
  reachable: boolean;
  /** Until when nobody takes what may be another host's that has not come to a directory made anew yet. */
  settlesAt: number;
  /** The revision of what was told or done last of networks: what is listed as of an earlier one is old. */
  told: number;
  /** Hosts that were heard of within the last seconds. */
  readonly alive: Set<string>;
  /** Pools of which other hosts are asked for something, and by how many verbs: it may come at any time. */
  readonly asking: Map<string, number>;
  /** What this host told of its engine before its records were lost; see `recall.ts`. */
  readonly recalled: {
    /** By id. */
    readonly endpoints: Map<string, Endpoint>;
    /** Lease → its grant, of those that were made for their addresses. */
    readonly leases: Map<string, string>;
  };
  /** Whether anything was heard of hosts since the start: before that nothing is known of who is alive. */
  listens: boolean;
  /** What this host knows may be old, or what it did undone: it has to agree with the directory anew. */
  disagrees(): void;
  /** The same, and news were withheld: all that is followed has to be followed anew. */
  missed(): void;
}

/**
 * A transaction that does nothing once this host was removed from the cluster, and what was its own given to others.
 * Answers its revision, or undefined when a condition does not hold. Where it is not known whether it was done, the
 * fence moves on before anything else is: so it is done then, or never.
 */
export async function commitAsMember(
  context: Context,
  when: readonly Condition[],
  writes: readonly Write[],
): Promise<number | undefined> {
  const { directory, host, fence } = context;
  if (fence === 0) throw unreachable('this host is not in step with its cluster');
  const key = keys.fence(host.state.self);
  let done: number | undefined;
  try {
    done = await directory.commit({ when: [{ key, revision: fence }, ...when], writes });
  } catch (error) {
    if (isWeaveError(error) && error.code === 'WEAVE_DIRECTORY_UNREACHABLE') outOfStep(context, fence);
    throw error;
  }
  if (done !== undefined || (await isMember(context, fence))) return done;
  outOfStep(context, fence);
  throw unreachable('this host was removed from its cluster');
}

async function isMember({ directory, host }: Context, fence: number): Promise<boolean> {
  const key = keys.fence(host.state.self);
  const { entries } = await directory.list(key);
  return fence > 0 && entries.some((entry) => entry.key === key && entry.revision === fence);
}

/** Unless it has moved on meanwhile. */
function outOfStep(context: Context, fence: number): void {
  if (context.fence !== fence) return;
  context.fence = 0;
  context.disagrees();
}

/** As `list` of the directory, of which it is certain that it is the one that this host is in step with. */
export async function listAsMember(context: Context, prefix: string): Promise<Awaited<ReturnType<Directory['list']>>> {
  const { fence } = context;
  const listed = await context.directory.list(prefix);
  if (await isMember(context, fence)) return listed;
  outOfStep(context, fence);
  throw unreachable('this host is not in step with its cluster');
}

/**
 * As `follow` of the directory. What is told whole may be what is left of it: it counts once this host's fence is
 * seen to stand after it.
 */
export function followAsMember(context: Context, prefix: string, tell: (news: News) => void): () => void {
  let waiting: News[] | undefined;
  let ended = false;

  async function verify(news: News): Promise<void> {
    const mine = [news];
    waiting = mine;
    const isTrue = await isMember(context, context.fence).catch(() => false);
    if (ended || waiting !== mine) return;
    if (!isTrue) return context.missed();
    waiting = undefined;
    for (const each of mine) tell(each);
  }

  const end = context.directory.follow(prefix, (news) => {
    if (news.kind === 'all') void verify(news);
    else if (waiting) waiting.push(news);
    else tell(news);
  });
  return () => {
    ended = true;
    end();
  };
}

/** How long what could not be recorded waits to be told again. */
const TELL_MS = 2000;

/** What other hosts did is so here too; false: not yet, as where this host's disk is full now. */
export async function learn(context: Context, carry: Carry): Promise<boolean> {
  const { host, timers } = context;
  try {
    await host.follow(carry);
    return true;
  } catch (error) {
    host.log('error', 'what other hosts did could not be recorded', { error: String(error) });
    timers.after(TELL_MS, context.missed);
    return false;
  }
}

/** Until every host that can has come to a directory made anew. */
export async function settled({ timers, settlesAt }: Context): Promise<void> {
  const left = settlesAt - timers.now();
  if (left > 0) await new Promise<void>((wake) => timers.after(left, wake));
}

/** How long a verb waits for a directory that may just be on its way: this host, or who serves it, began a moment ago. */
const PATIENCE_MS = 5000;
const LOOK_MS = 50;

/** Until this host is in step with its directory, or has waited long enough. */
export async function inStep(context: Context): Promise<void> {
  const { timers } = context;
  const end = timers.now() + PATIENCE_MS;
  while ((!context.reachable || context.fence === 0) && timers.now() < end)
    await new Promise<void>((look) => timers.after(LOOK_MS, look));
}

export const unreachable = (what: string): WeaveError => new WeaveError('WEAVE_DIRECTORY_UNREACHABLE', what);

/** In parts that fit into one transaction, beside a few conditions. */
export function* chunks<T extends { value?: string | null } | string>(list: readonly T[], size = 100): Generator<T[]> {
  let part: T[] = [];
  let length = 0;
  for (const each of list) {
    const more = typeof each === 'string' ? 0 : (each.value?.length ?? 0);
    if (part.length === size || (part.length > 0 && length + more > TRANSACTION_CHARACTERS / 2)) {
      yield part;
      [part, length] = [[], 0];
    }
    part.push(each);
    length += more;
  }
  if (part.length > 0) yield part;
}

export const isThere = <T extends { key: string }>(entries: readonly T[], key: string): T | undefined =>
  entries.find((entry) => entry.key === key);
