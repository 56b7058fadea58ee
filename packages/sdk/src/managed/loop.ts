import { setTimeout as delay } from 'node:timers/promises';

export interface Loop {
  /** The next step now, or as soon as this one is done. */
  wake(): void;
  /** No step begins any more; one that is under way is waited for by {@link Loop.ended}. */
  end(): void;
  readonly ended: Promise<void>;
}

/** One step after another; each says how many milliseconds after it the next one comes, give or take a quarter. */
export function loop(step: () => Promise<number>): Loop {
  const over = new AbortController();
  let wake = new AbortController();
  async function run(): Promise<void> {
    while (!over.signal.aborted) {
      wake = new AbortController();
      const pause = (await step()) * (0.75 + Math.random() / 2);
      const signal = AbortSignal.any([over.signal, wake.signal]);
      await delay(pause, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
  return { wake: () => wake.abort(), end: () => over.abort(), ended: run() };
}
