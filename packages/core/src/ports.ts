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

/** Milliseconds since 1970. */
export type Clock = () => number;
