import { type Entry, type News, WeaveError } from '@weave/core';
import type { Talk } from './connection.ts';
import { isOutdated } from './failure.ts';
import { entryOf, listAll } from './list.ts';
import { DELETED, type KeyEvent, METHODS, under, type Watched } from './messages.ts';
import type { Session } from './session.ts';

/** How soon what failed is tried again, while the session lasts. */
const RETRY_MS = 1000;

interface Follower {
  readonly prefix: string;
  readonly tell: (news: News) => void;
  /** All up to this revision has been told. Undefined: everything has to be told, first or again. */
  position: number | undefined;
  watchId?: number;
}

/** All that is watched in one session: one conversation, in which each follower has a number. */
interface Watching {
  readonly session: Session;
  readonly talk: Talk<(typeof METHODS.watch)['request']>;
  readonly followers: Map<number, Follower>;
  lastId: number;
}

export interface Watcher {
  /** Undefined: the last session is over, and who follows waits for the next. */
  use(session: Session | undefined): void;
  follow(prefix: string, tell: (news: News) => void): () => void;
  /** Who follows is told nothing more, and who begins is told nothing. */
  close(): void;
}

/** Tells followers what changes, from session to session: from where they are, or everything where that is not known. */
export function createWatcher(root: string): Watcher {
  const all = new Set<Follower>();
  let watching: Watching | undefined;
  let isClosed = false;

  const goesOn = (follower: Follower, now: Watching) => watching === now && all.has(follower);

  function use(session: Session | undefined): void {
    watching?.talk.end();
    watching = session && watch(session);
    if (!session || !watching) return;
    for (const follower of all) {
      // In another history its position means nothing.
      if (session.isNew || session.revision < (follower.position ?? 0)) follower.position = undefined;
      void start(follower, watching);
    }
  }

  function watch(session: Session): Watching {
    const hear = (watched: Watched) => watching === now && heard(now, watched);
    const talk = session.connection.talk(METHODS.watch, { hear, ended: session.lose });
    const now: Watching = { session, talk, followers: new Map(), lastId: 0 };
    return now;
  }

  async function start(follower: Follower, now: Watching): Promise<void> {
    try {
      if (goesOn(follower, now) && follower.position === undefined) await tellAll(follower, now);
      if (goesOn(follower, now)) begin(follower, now, follower.position! + 1);
    } catch (error) {
      if (isOutdated(error)) now.session.lose(error);
      else startLater(follower, now);
    }
  }

  const startLater = (follower: Follower, now: Watching) =>
    void setTimeout(() => void start(follower, now), RETRY_MS).unref();

  async function tellAll(follower: Follower, now: Watching): Promise<void> {
    const listed = await listAll(now.session.connection, root, follower.prefix);
    if (!goesOn(follower, now)) return;
    follower.position = listed.revision;
    follower.tell({ kind: 'all', ...listed });
  }

  function begin(follower: Follower, now: Watching, startRevision: number): void {
    const watchId = ++now.lastId;
    follower.watchId = watchId;
    now.followers.set(watchId, follower);
    now.talk.say({ create: { ...under(root + follower.prefix), startRevision, watchId } });
  }

  function heard(now: Watching, { watchId, canceled, compactRevision, cancelReason, events }: Watched): void {
    const follower = now.followers.get(watchId);
    // Some members refuse without a number: then it may be any.
    if (canceled && watchId < 0)
      now.session.lose(new WeaveError('WEAVE_DIRECTORY_UNREACHABLE', `etcd: ${cancelReason}`));
    else if (canceled && follower) refused(follower, now, compactRevision > 0);
    for (const news of newsOf(events, root)) {
      if (!follower || !goesOn(follower, now)) return;
      follower.position = news.revision;
      follower.tell(news);
    }
  }

  function refused(follower: Follower, now: Watching, isCompacted: boolean): void {
    now.followers.delete(follower.watchId!);
    follower.position = undefined;
    if (isCompacted) void start(follower, now);
    else startLater(follower, now);
  }

  function follow(prefix: string, tell: (news: News) => void): () => void {
    const follower: Follower = { prefix, tell, position: undefined };
    if (!isClosed) all.add(follower);
    if (watching) void start(follower, watching);
    return () => {
      if (!all.delete(follower) || follower.watchId === undefined) return;
      if (watching?.followers.get(follower.watchId) !== follower) return;
      watching.followers.delete(follower.watchId);
      watching.talk.say({ cancel: { watchId: follower.watchId } });
    };
  }

  function close(): void {
    isClosed = true;
    all.clear();
  }

  return { use, follow, close };
}

/** One of each revision, in order: in one transaction no key is there twice. */
function newsOf(events: readonly KeyEvent[], root: string): News[] {
  const news: { kind: 'changes'; entries: Entry[]; gone: string[]; revision: number }[] = [];
  for (const { type, kv } of events) {
    const entry = entryOf(kv!, root);
    if (news.at(-1)?.revision !== entry.revision)
      news.push({ kind: 'changes', entries: [], gone: [], revision: entry.revision });
    if (type === DELETED) news.at(-1)!.gone.push(entry.key);
    else news.at(-1)!.entries.push(entry);
  }
  return news;
}
