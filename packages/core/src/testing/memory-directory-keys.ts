import type { Condition, Entry, News, Transaction } from '../ports.ts';
import { mustFit } from '../transaction.ts';
import { SortedKeys } from './sorted-keys.ts';

/** What goes with a client: the keys that it wrote as leased. */
export interface Lease {
  readonly keys: Set<string>;
}

type Hear = (news: News) => void;

/** The keys that all clients share. A change costs what it touches, and those who follow that; a list what it answers. */
export class DirectoryKeys {
  /** As in an etcd that is new. */
  #revision = 1;
  #entries = new Map<string, Entry>();
  #sorted = new SortedKeys();
  #leaseOf = new Map<string, Lease>();
  readonly #followers = new Map<string, Set<Hear>>();
  /** How many of the prefixes that are followed are so long: only these can be prefixes of a key. */
  readonly #lengths = new Map<number, number>();

  list(prefix: string): { entries: Entry[]; revision: number } {
    return {
      entries: Array.from(this.#sorted.under(prefix), (key) => this.#entries.get(key)!),
      revision: this.#revision,
    };
  }

  commit(transaction: Transaction, lease: Lease): number | undefined {
    mustFit(transaction);
    if (!(transaction.when ?? []).every((condition) => this.#holds(condition))) return undefined;
    const revision = this.#revision + 1;
    const entries: Entry[] = [];
    const gone = new Set<string>();
    for (const write of transaction.writes)
      if ('prefix' in write) for (const key of this.#sorted.under(write.prefix)) gone.add(key);
      else if (write.value !== null) entries.push({ key: write.key, value: write.value, revision });
      else if (this.#entries.has(write.key)) gone.add(write.key);
    const leased = new Set(
      transaction.writes.flatMap((write) => ('leased' in write && write.leased ? [write.key] : [])),
    );
    this.#change(entries, [...gone], (key) => (leased.has(key) ? lease : undefined));
    return this.#revision;
  }

  /** All keys of a lease go, at once. */
  expire(lease: Lease): void {
    this.#change([], [...lease.keys], () => undefined);
  }

  /** Empty, as a new one is; whoever follows is not told. */
  lose(): void {
    this.#revision = 1;
    this.#entries = new Map();
    this.#sorted = new SortedKeys();
    for (const lease of this.#leaseOf.values()) lease.keys.clear();
    this.#leaseOf = new Map();
  }

  /** From now on `hear` is told of each change under a prefix; until it is ended. */
  follow(prefix: string, hear: Hear): () => void {
    const { length } = prefix;
    const followers = this.#followers.get(prefix) ?? new Set();
    this.#followers.set(prefix, followers.add(hear));
    this.#lengths.set(length, (this.#lengths.get(length) ?? 0) + 1);
    return () => {
      if (!followers.delete(hear)) return;
      if (followers.size === 0) this.#followers.delete(prefix);
      const left = this.#lengths.get(length)! - 1;
      if (left > 0) this.#lengths.set(length, left);
      else this.#lengths.delete(length);
    };
  }

  #holds(condition: Condition): boolean {
    if ('none' in condition) return this.#sorted.under(condition.none).next().done === true;
    return (this.#entries.get(condition.key)?.revision ?? 0) === condition.revision;
  }

  #change(entries: readonly Entry[], gone: readonly string[], leaseFor: (key: string) => Lease | undefined): void {
    if (entries.length === 0 && gone.length === 0) return;
    this.#revision++;
    for (const key of gone) {
      this.#entries.delete(key);
      this.#sorted.delete(key);
      this.#bind(key, undefined);
    }
    for (const entry of entries) {
      if (!this.#entries.has(entry.key)) this.#sorted.add(entry.key);
      this.#entries.set(entry.key, entry);
      this.#bind(entry.key, leaseFor(entry.key));
    }
    this.#tell(entries, gone);
  }

  #bind(key: string, lease: Lease | undefined): void {
    this.#leaseOf.get(key)?.keys.delete(key);
    if (lease) this.#leaseOf.set(key, lease);
    else this.#leaseOf.delete(key);
    lease?.keys.add(key);
  }

  #tell(entries: readonly Entry[], gone: readonly string[]): void {
    const revision = this.#revision;
    const news = new Map<string, { kind: 'changes'; entries: Entry[]; gone: string[]; revision: number }>();
    const under = (prefix: string) => {
      const found = news.get(prefix) ?? { kind: 'changes', entries: [], gone: [], revision };
      news.set(prefix, found);
      return found;
    };
    for (const entry of entries) for (const prefix of this.#followedAbove(entry.key)) under(prefix).entries.push(entry);
    for (const key of gone) for (const prefix of this.#followedAbove(key)) under(prefix).gone.push(key);
    for (const [prefix, each] of news) for (const hear of this.#followers.get(prefix)!) hear(each);
  }

  *#followedAbove(key: string): Generator<string> {
    for (const length of this.#lengths.keys()) {
      const prefix = key.slice(0, length);
      if (length <= key.length && this.#followers.has(prefix)) yield prefix;
    }
  }
}
