/** Time, for whoever has none of his own. */
export interface Timing {
  /** Milliseconds, from whenever on. */
  now(): number;
  /** Once; until it is called. */
  after(ms: number, work: () => void): () => void;
  /** 0 to 1. */
  random(): number;
}

/** What may come of a probe. */
export interface Outcome {
  answered(rttMs: number): void;
  /** Our own link does not take it whole. */
  refused(): void;
}

export interface PathContext extends Timing {
  /** Sends a probe, as small as can be where no size is said. */
  send(size: number | undefined, outcome: Outcome): void;
  /** How long to wait between two looks at a path that is well. */
  beatMs(): number;
  jittered(ms: number): number;
  /** A little longer, so that several paths are looked at together. */
  aligned(ms: number): number;
  changed(): void;
}
