import type { Context } from './context.ts';

/** How long what failed waits to be tried again. */
const RETRY_MS = 1000;

export interface Flush {
  /** Unless it is being written already, or cannot be now. */
  now(): void;
  /** When nothing is being written. */
  idle(): Promise<void>;
  end(): void;
}

/** Writes what is new to the directory, by one `write` at a time; one that fails is tried again. */
export function createFlush(context: Context, what: string, write: () => Promise<void>): Flush {
  const { host, timers } = context;
  let writing: Promise<void> | undefined;
  let cancelRetry: (() => void) | undefined;
  /** What is writing may have looked for the last time already. */
  let again = false;

  function now(): void {
    if (!context.reachable || context.fence === 0) return;
    again = writing !== undefined;
    if (again) return;
    writing = write()
      .catch((error: unknown) => {
        host.log('debug', `${what} could not be published`, { error: String(error) });
        cancelRetry ??= timers.after(RETRY_MS, () => {
          cancelRetry = undefined;
          now();
        });
      })
      .finally(() => {
        writing = undefined;
        if (again && !cancelRetry) now();
      });
  }

  return {
    now,
    async idle() {
      while (writing) await writing;
    },
    end: () => cancelRetry?.(),
  };
}
