import { isWeaveError } from '../errors.ts';
import type { Directory, Entry, News } from '../ports.ts';
import { type ContractCase, holds, same } from './contract.ts';

/** One directory, which is empty at the start of a case. */
export interface DirectorySubject {
  /** Another host's way to it. */
  open(): Promise<Directory>;
  /** Nothing gets through, either way. Never healed: its host is dead. */
  cut(directory: Directory): Promise<void>;
  heal(directory: Directory): Promise<void>;
  /** What happened so far is forgotten, but for what is there. */
  compact(): Promise<void>;
  /** It is empty, and its revisions begin anew. */
  loseData(): Promise<void>;
  /** Lets so much time go by, in which all that is under way goes on. */
  passes(seconds: number): Promise<void>;
}

/** Who follows a prefix, and looks at what it is told. */
export interface Following {
  /** By key, after all that was told. */
  readonly values: ReadonlyMap<string, string>;
  /** Every value and every `-` for a key that went, in the order of telling; `all` where everything was told. */
  readonly told: readonly string[];
  end(): void;
}

/** What a case of the contract works with. */
export interface Bench extends DirectorySubject {
  follow(directory: Directory, prefix: string): Following;
  /** Lets time go by until it holds; throws when it never does. */
  until(condition: () => boolean | Promise<boolean>, what: string): Promise<void>;
  /** Long enough for whatever is on its way. */
  settle(): Promise<void>;
  rejects(call: Promise<unknown>, code: string, what: string): Promise<void>;
  /** A key, as it is written. */
  put(directory: Directory, key: string, value: string, rest?: { leased?: boolean }): Promise<number>;
  valuesOf(directory: Directory, prefix: string): Promise<Record<string, string>>;
}

/** So long a case waits for what has to come: more than a lease, and finding a connection again. */
const PATIENCE_SECONDS = 30;
const STEP_SECONDS = 0.02;

export function contractCase(name: string, run: (bench: Bench) => Promise<void>): ContractCase<DirectorySubject> {
  return {
    name,
    async run(subject) {
      const wrong: string[] = [];
      await run(benchFor(subject, wrong));
      same(wrong, [], 'news that may not be');
    },
  };
}

function benchFor(subject: DirectorySubject, wrong: string[]): Bench {
  return {
    ...subject,
    follow: (directory, prefix) => follow(directory, prefix, wrong),
    async until(condition, what) {
      for (let waited = 0; !(await condition()); waited += STEP_SECONDS) {
        holds(waited < PATIENCE_SECONDS, `waited in vain: ${what} ${wrong}`);
        await subject.passes(STEP_SECONDS);
      }
    },
    settle: () => subject.passes(0.4),
    async rejects(call, code, what) {
      const thrown = await call.then(
        (value) => `nothing, but answered ${JSON.stringify(value)}`,
        (error: unknown) => (isWeaveError(error) ? error.code : error),
      );
      same(String(thrown), code, what);
    },
    async put(directory, key, value, rest = {}) {
      const revision = await directory.commit({ writes: [{ key, value, ...rest }] });
      holds(revision !== undefined, `${key} is written`);
      return revision!;
    },
    valuesOf: async (directory, prefix) =>
      Object.fromEntries((await directory.list(prefix)).entries.map(({ key, value }) => [key, value])),
  };
}

function follow(directory: Directory, prefix: string, wrong: string[]): Following {
  const seen = new Map<string, Entry>();
  const told: string[] = [];
  let last: number | undefined;

  function look(news: News): void {
    const must = (holds: boolean, what: string) => {
      if (!holds) wrong.push(`${what}: ${JSON.stringify(news).slice(0, 300)} after ${last}`);
    };
    must(last !== undefined || news.kind === 'all', 'everything is told first');
    must(
      news.entries.every((entry) => entry.key.startsWith(prefix)),
      `only what is under ${prefix}`,
    );
    if (news.kind === 'all') {
      must(
        news.entries.every((entry) => entry.revision <= news.revision),
        'of that time',
      );
      return;
    }
    must(news.revision > last!, 'in order');
    must(
      news.entries.every((entry) => entry.revision === news.revision),
      'what changed at that revision',
    );
    must(
      news.gone.every((key) => seen.has(key)),
      'only what was there goes',
    );
    must(news.entries.length + news.gone.length > 0, 'something changed');
  }

  function learn(news: News): void {
    look(news);
    last = news.revision;
    if (news.kind === 'all') {
      seen.clear();
      told.push('all');
    } else {
      for (const key of news.gone) seen.delete(key);
      told.push(...news.gone.map(() => '-'), ...news.entries.map(({ value }) => value));
    }
    for (const entry of news.entries) seen.set(entry.key, entry);
  }

  const end = directory.follow(prefix, learn);
  return {
    get values() {
      return new Map([...seen].map(([key, { value }]) => [key, value]));
    },
    told,
    end,
  };
}
