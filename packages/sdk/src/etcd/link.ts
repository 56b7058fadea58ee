import { setTimeout as delay } from 'node:timers/promises';
import { asWeaveError, WeaveError } from '@weave/core';
import { connectTo, PATIENCE_MS } from './connection.ts';
import type { EtcdOptions } from './options.ts';
import { openSession, type Session } from './session.ts';

/** Between two rounds of all endpoints. */
const PAUSE_MS = 500;
/** Where we are not wanted, that will hardly change soon. */
const DENIED_PAUSE_MS = 5000;

export interface Link {
  /** The session there is, or the one that comes soon; rejects when none of the endpoints answers. */
  session(): Promise<Session>;
  onReach(tell: (reachable: boolean) => void): () => void;
  close(): void;
}

/** Keeps a session with one of the endpoints, and finds another as soon as it is lost. `key` is one that we may read. */
export function createLink(options: EtcdOptions, key: string, changed: (session?: Session) => void): Link {
  const endpoints = [...options.endpoints].sort(() => Math.random() - 0.5);
  const closing = new AbortController();
  const listeners = new Set<(reachable: boolean) => void>();
  const waiting = new Set<PromiseWithResolvers<Session>>();
  let current: Session | undefined;
  let lease: number | undefined;
  /** Attempts since there was a session, and why the last of them came to nothing. */
  let failed = 0;
  let failure = unreachable('did not answer yet');

  function become(session?: Session): void {
    if (current === session) return;
    current?.end();
    current = session;
    lease = session?.lease ?? lease;
    failed = 0;
    if (session) settle(({ resolve }) => resolve(session));
    changed(session);
    for (const tell of listeners) tell(session !== undefined);
  }

  function settle(how: (each: PromiseWithResolvers<Session>) => void): void {
    for (const each of waiting) how(each);
    waiting.clear();
  }

  /** Rejects when there is no session, resolves when there was one. */
  async function live(endpoint: string): Promise<void> {
    const { promise: isLost, resolve } = Promise.withResolvers<void>();
    const connection = await connectTo(endpoint, options);
    try {
      const lose = () => {
        if (current?.connection === connection) become(undefined);
        resolve();
      };
      const session = await openSession(connection, key, lease, lose);
      if (closing.signal.aborted) return session.end();
      become(session);
      await isLost;
    } finally {
      connection.close();
    }
  }

  /** Answers how long to wait for the next attempt. */
  function fail(error: unknown): number {
    failure = asWeaveError(error);
    if (++failed < endpoints.length) return 0;
    settle(({ reject }) => reject(failure));
    return failure.kind === 'denied' ? DENIED_PAUSE_MS : PAUSE_MS;
  }

  async function run(): Promise<void> {
    for (let attempt = 0; !closing.signal.aborted; attempt++) {
      const begun = performance.now();
      const pause = await live(endpoints[attempt % endpoints.length]!).then(
        // One that was lost at once would be lost at once again.
        () => (performance.now() - begun < PAUSE_MS ? PAUSE_MS : 0),
        fail,
      );
      // Not all hosts at the same time.
      await delay(pause * (0.5 + Math.random()), undefined, { signal: closing.signal }).catch(() => undefined);
    }
  }

  async function session(): Promise<Session> {
    if (current) return current;
    if (closing.signal.aborted || failed >= endpoints.length) throw failure;
    const waiter = Promise.withResolvers<Session>();
    waiting.add(waiter);
    const timer = setTimeout(() => waiting.delete(waiter) && waiter.reject(failure), PATIENCE_MS);
    return waiter.promise.finally(() => clearTimeout(timer));
  }

  function onReach(tell: (reachable: boolean) => void): () => void {
    if (closing.signal.aborted) return () => undefined;
    const listener = (reachable: boolean) => tell(reachable);
    listeners.add(listener);
    queueMicrotask(() => listeners.has(listener) && tell(current !== undefined));
    return () => void listeners.delete(listener);
  }

  function close(): void {
    if (closing.signal.aborted) return;
    closing.abort();
    listeners.clear();
    failure = unreachable('is closed here');
    settle(({ reject }) => reject(failure));
    current?.lose(failure);
  }

  void run();
  return { session, onReach, close };
}

const unreachable = (why: string) => new WeaveError('WEAVE_DIRECTORY_UNREACHABLE', `etcd ${why}`);
