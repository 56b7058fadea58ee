import { LEASE_SECONDS } from '../model.ts';
import type { Clock, Entry } from '../ports.ts';
import { clientOf, type DirectoryClient, type Later, type Shared } from './memory-directory-client.ts';
import { DirectoryKeys } from './memory-directory-keys.ts';

export interface MemoryDirectoryOptions {
  /** Each way of a call goes through it, and news do. By default: in the next microtask. */
  later?: Later;
  /** Without one, leases expire only when a client is told to. */
  clock?: Clock;
}

/** What hosts share, in memory. */
export interface MemoryDirectory {
  /** Another host's way to it. */
  client(options?: { later?: Later }): DirectoryClient;
  /** What is there under a prefix, for a test to look at. */
  entries(prefix?: string): Entry[];
  /** What happened so far is forgotten: who is cut off now is told everything anew. */
  compact(): void;
  /** It is empty, and its revisions begin anew. */
  loseData(): void;
  /** The leased keys go of those who have been cut off or closed for {@link LEASE_SECONDS}. */
  expireLeases(): void;
}

/** One directory, and clients of it. It does nothing by itself: the same calls give the same news in the same order. */
export function memoryDirectory({ later = soon, clock }: MemoryDirectoryOptions = {}): MemoryDirectory {
  const keys = new DirectoryKeys();
  const shared: Shared = { keys, clients: new Set(), orphans: new Map(), clock: clock ?? (() => 0) };
  return {
    client: (options = {}) => clientOf(shared, options.later ?? later),
    entries: (prefix = '') => keys.list(prefix).entries,
    compact: () => {
      for (const client of shared.clients) client.missed(false);
    },
    loseData() {
      keys.lose();
      for (const client of shared.clients) client.missed(true);
    },
    expireLeases() {
      for (const [lease, since] of shared.orphans)
        if (shared.clock() - since >= LEASE_SECONDS * 1000) {
          shared.orphans.delete(lease);
          keys.expire(lease);
        }
    },
  };
}

const soon: Later = (run) => void Promise.resolve().then(run);
