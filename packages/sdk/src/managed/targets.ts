import { setTimeout as delay } from 'node:timers/promises';
import { asWeaveError, type WeaveError } from '@weave/core';
import type { Log } from '../log.ts';
import type { Decision } from './decide.ts';

/** A host that this one was told to connect to. */
export interface Target {
  readonly address: string;
  /** `together`: of one cluster now. `refused`: it answers, and says no; asked again all the same. */
  state: 'trying' | 'waiting' | 'together' | 'refused';
  error?: WeaveError;
}

export interface Targets {
  list(): readonly Target[];
  add(address: string): void;
  remove(address: string): void;
  /** Whether each was heard from, or not, once: or long enough waited for. Not at once: others may be about to call. */
  readonly heard: boolean;
  /** When each was heard from, or when it has taken too long. */
  firstAnswers(): Promise<void>;
  /** Asks each again at once. */
  again(): void;
  close(): Promise<void>;
}

/** Milliseconds until the next try, at first and at most; each is about half as much again as the one before. */
const PAUSES: Record<'unreachable' | 'lone' | 'waiting' | 'refused', readonly [number, number]> = {
  unreachable: [500, 15_000],
  // While this host is of no cluster, the others shall soon know of it.
  lone: [500, 1500],
  waiting: [150, 1500],
  refused: [5000, 30_000],
};
const PATIENCE_MS = 3500;
const QUIET_MS = 1500;
const REFUSALS = ['WEAVE_JOIN_DENIED', 'WEAVE_OTHER_CLUSTER', 'WEAVE_OTHER_VERSION', 'WEAVE_ETCD_MISSING'];

interface Trying {
  target: Target;
  over: AbortController;
  wake: AbortController;
  heard: boolean;
  done: Promise<void>;
}

export interface TargetsOptions {
  /** `problem`: what keeps this host from joining, though that one lets it in. */
  meet(address: string): Promise<{ decision: Decision; problem?: WeaveError | undefined }>;
  /** Whether this host is of no cluster yet. */
  isLone(): boolean;
  readonly log: Log;
}

export function createTargets({ meet, isLone, log }: TargetsOptions): Targets {
  const all = new Map<string, Trying>();
  const begun = performance.now();
  let since = begun;

  async function keepTrying(trying: Trying): Promise<void> {
    const { target, over } = trying;
    let tries = { why: '', count: 0 };
    while (!over.signal.aborted) {
      const why = await tryOnce(target);
      trying.heard = true;
      if (!why) return;
      tries = { why, count: tries.why === why ? tries.count + 1 : 0 };
      const [first, most] = PAUSES[why];
      const pause = Math.min(first * 1.5 ** tries.count, most) * (0.5 + Math.random());
      trying.wake = new AbortController();
      const signal = AbortSignal.any([over.signal, trying.wake.signal]);
      await delay(pause, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** Why it has to be tried again; undefined when it has not. */
  async function tryOnce(target: Target): Promise<keyof typeof PAUSES | undefined> {
    try {
      const { decision, problem } = await meet(target.address);
      delete target.error;
      target.state = decision === 'together' ? decision : 'waiting';
      if (target.state === 'together') return undefined;
      if (problem) target.error = problem;
      return 'waiting';
    } catch (thrown) {
      return failed(target, asWeaveError(thrown));
    }
  }

  function failed(target: Target, error: WeaveError): keyof typeof PAUSES {
    const refused = REFUSALS.includes(error.code);
    if (error.message !== target.error?.message)
      log(refused ? 'warn' : 'info', 'cannot connect yet', { to: target.address, error: error.toJSON() });
    target.error = error;
    target.state = refused ? 'refused' : 'trying';
    if (refused) return 'refused';
    return isLone() ? 'lone' : 'unreachable';
  }

  const heard = () => {
    const now = performance.now();
    return now - begun > QUIET_MS && ([...all.values()].every((trying) => trying.heard) || now - since > PATIENCE_MS);
  };
  return {
    list: () => [...all.values()].map(({ target }) => target),
    add(address) {
      if (all.has(address)) return;
      since = performance.now();
      const target: Target = { address, state: 'trying' };
      const trying: Trying = {
        ...{ target, over: new AbortController(), wake: new AbortController(), heard: false },
        done: Promise.resolve(),
      };
      all.set(address, trying);
      trying.done = keepTrying(trying);
    },
    remove(address) {
      all.get(address)?.over.abort();
      all.delete(address);
    },
    get heard() {
      return heard();
    },
    async firstAnswers() {
      while (!heard()) await delay(20);
    },
    again() {
      for (const { wake } of all.values()) wake.abort();
    },
    async close() {
      for (const { over } of all.values()) over.abort();
      await Promise.all([...all.values()].map(({ done }) => done));
    },
  };
}
