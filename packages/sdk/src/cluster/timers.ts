/** What the cluster waits by: replaced where time is simulated. */
export interface Timers {
  /** Milliseconds of a clock that nobody sets. */
  now(): number;
  /** Answers what takes it back. */
  after(ms: number, work: () => void): () => void;
}

export const realTimers: Timers = {
  now: () => performance.now(),
  after(ms, work) {
    const timer = setTimeout(work, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** Again and again, so long after it was done the last time. Answers what ends it. */
export function every(ms: number, timers: Timers, work: () => Promise<unknown>): () => void {
  let isOver = false;
  let cancel = timers.after(ms, again);
  function again(): void {
    void work().finally(() => {
      if (!isOver) cancel = timers.after(ms, again);
    });
  }
  return () => {
    isOver = true;
    cancel();
  };
}
