import type { FirewallRules } from './firewall.ts';
import type { Applied, Changed, Observed, Op, Query } from './kernel.ts';
import type { Change } from './model.ts';

/** The kernel. Every operation is idempotent; contract: `datapathContract` in `@weave/core/testing`. */
export interface Datapath {
  /** Each batch in order, up to its first failure; the others go on. Rejects for no error of the kernel's. */
  apply(batches: readonly (readonly Op[])[]): Promise<Applied[]>;
  observe(queries: readonly Query[]): Promise<Observed[]>;
  /** Tells what may be lost from now on, soon after, gathered; until it is closed. */
  watch(tell: (changed: Changed) => void): void;
  /** A namespace's cookie: what it is, whatever path leads to it. Undefined when there is none. */
  netnsId(path: string): string | undefined;
  /** Removes the switch with every link in it. */
  destroy(): Promise<void>;
  close(): Promise<void>;
}

/** Durable records of this host, one writer. Contract: `storeContract` in `@weave/core/testing`. */
export interface HostStore {
  /** Everything stored, each record once. */
  load(): Change[];
  /** All of it, or none; durable when it returns. */
  append(changes: readonly Change[]): void;
  /** Forgets everything, also where nothing can be written any more; only to be closed after it. */
  erase(): void;
  close(): void;
}

/** The host's packet filter: a table of our own, replaced whole. */
export interface Firewall {
  /** Undefined: nothing of ours is left. */
  set(rules: FirewallRules | undefined): Promise<void>;
  /** Whether what was set last is still so. */
  isAsSet(): Promise<boolean>;
}

/** A key of the directory, with its value and the revision at which that was written. */
export interface Entry {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
}

/** What has to hold for a transaction: a key as it was last seen (0: not there), or nothing at all under a prefix. */
export type Condition = { readonly key: string; readonly revision: number } | { readonly none: string };

/** What a transaction does. `leased`: the key goes when this process is not heard of for {@link LEASE_SECONDS}. */
export type Write =
  | { readonly key: string; readonly value: string; readonly leased?: boolean }
  | { readonly key: string; readonly value: null }
  /** Everything under a prefix goes. */
  | { readonly prefix: string; readonly value: null };

export interface Transaction {
  readonly when?: readonly Condition[];
  /**
   * No key twice, nor under a prefix that goes. At most {@link TRANSACTION_ROOM}, conditions and writes together, and
   * {@link TRANSACTION_CHARACTERS}; what is more is WEAVE_BUG.
   */
  readonly writes: readonly Write[];
}

/** News of what is under a prefix: everything (at first, and after a gap), or what changed since. */
export type News =
  | { readonly kind: 'all'; readonly entries: readonly Entry[]; readonly revision: number }
  | {
      readonly kind: 'changes';
      readonly entries: readonly Entry[];
      readonly gone: readonly string[];
      readonly revision: number;
    };

/**
 * What hosts share: keys with values, ordered by one revision, changed by compare-and-swap. Where it does not answer,
 * methods reject with WEAVE_DIRECTORY_UNREACHABLE, within seconds; where it refuses us, with WEAVE_DIRECTORY_DENIED.
 * Contract: `directoryContract` in `@weave/core/testing`.
 */
export interface Directory {
  /** Everything under a prefix, as of one revision; a key itself is a prefix of it. */
  list(prefix: string): Promise<{ entries: Entry[]; revision: number }>;
  /**
   * All of it, or none: answers the revision, or undefined when a condition does not hold. After a rejection it may
   * have been done all the same.
   */
  commit(transaction: Transaction): Promise<number | undefined>;
  /** Tells what is under a prefix, in order, nothing left out, through every loss of connection; until it is ended. */
  follow(prefix: string, tell: (news: News) => void): () => void;
  /** Tells whether it answers: now, and from then on whenever that changes; until it is ended. */
  onReach(tell: (reachable: boolean) => void): () => void;
  /** Its leased keys stay until they expire, unless it is told to end the lease. */
  close(options?: { endLease?: boolean }): Promise<void>;
}

/** Milliseconds since 1970. */
export type Clock = () => number;
