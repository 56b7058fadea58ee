/** Answers, each until it is too old; of too many, those go that were not asked for the longest. */
export interface Cache {
  /** With its age in whole seconds. */
  get(key: string): { answer: Buffer; age: number } | undefined;
  put(key: string, answer: Buffer, seconds: number): void;
}

interface Kept {
  readonly answer: Buffer;
  readonly since: number;
  readonly seconds: number;
}

export function createCache({
  bytes,
  now = performance.now.bind(performance),
}: {
  bytes: number;
  now?: () => number;
}): Cache {
  // In the order in which they were last asked for.
  const kept = new Map<string, Kept>();
  let size = 0;

  const remove = (key: string) => {
    size -= sizeOf(key, kept.get(key));
    kept.delete(key);
  };
  return {
    get(key) {
      const found = kept.get(key);
      if (!found) return undefined;
      const age = Math.floor((now() - found.since) / 1000);
      if (age >= found.seconds) return void remove(key);
      kept.delete(key);
      kept.set(key, found);
      return { answer: found.answer, age };
    },
    put(key, answer, seconds) {
      remove(key);
      // A copy: what it was read into may be much larger.
      const entry = { answer: Buffer.from(answer), since: now(), seconds };
      kept.set(key, entry);
      size += sizeOf(key, entry);
      for (const oldest of kept.keys()) {
        if (size <= bytes) return;
        remove(oldest);
      }
    },
  };
}

const OVERHEAD = 256;
const sizeOf = (key: string, entry: Kept | undefined) => (entry ? key.length + entry.answer.length + OVERHEAD : 0);
