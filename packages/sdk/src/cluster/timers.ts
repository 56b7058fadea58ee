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
