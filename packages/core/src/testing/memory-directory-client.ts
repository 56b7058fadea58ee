import { WeaveError } from '../errors.ts';
import type { Clock, Directory, News } from '../ports.ts';
import type { DirectoryKeys, Lease } from './memory-directory-keys.ts';

/** Has something done a little later. What shall stay in order waits for what is on its way. */
export type Later = (run: () => void) => void;

export interface DirectoryClient extends Directory {
  /** Nothing gets through, either way, until it is healed. Never healed: its host is dead. */
  cut(): void;
  heal(): void;
  /** Calls, answers and news wait, in their order, until they are released. */
  hold(): void;
  release(): void;
  /** Its leased keys go; what it writes from now on has another lease. */
  expireLease(): void;
}

/** What the clients of one directory have in common. */
export interface Shared {
  readonly keys: DirectoryKeys;
  readonly clients: Set<{ missed(all: boolean): void }>;
  /** Leases that nobody keeps alive, and since when. */
  readonly orphans: Map<Lease, number>;
  readonly clock: Clock;
}

interface Follower {
  readonly prefix: string;
  readonly tell: (news: News) => void;
  /** It will be told everything: until then, what changes is nothing to it. */
  stale: boolean;
}

export function clientOf({ keys, clients, orphans, clock }: Shared, later: Later): DirectoryClient {
  const lease: Lease = { keys: new Set() };
  const ends = new Map<Follower, () => void>();
  const reaches = new Set<() => void>();
  /** What has not been told yet, in order; without news: everything. */
  let inbox: { follower: Follower; news?: News }[] = [];
  let isComing = false;
  let isCut = false;
  let isClosed = false;
  let held: (() => void)[] | undefined;

  const pass = (run: () => void) => later(() => (held ? held.push(run) : run()));

  const call = <T>(work: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      const unlessAway = (run: () => void) => () => (isCut || isClosed ? reject(unreachable()) : run());
      const perform = () => {
        try {
          const answer = work();
          pass(unlessAway(() => resolve(answer)));
        } catch (error) {
          pass(() => reject(error));
        }
      };
      pass(unlessAway(perform));
    });

  /** What comes while a delivery is on its way comes with it. */
  function deliver(): void {
    if (isComing || isCut || inbox.length === 0) return;
    isComing = true;
    pass(() => {
      isComing = false;
      if (isCut) return;
      const coming = inbox;
      inbox = [];
      for (const { follower, news } of coming) tell(follower, news);
    });
  }

  function tell(follower: Follower, news?: News): void {
    if (!ends.has(follower) || (news && follower.stale)) return;
    follower.stale = false;
    follower.tell(news ?? { kind: 'all', ...keys.list(follower.prefix) });
  }

  function tellAll(follower: Follower): void {
    follower.stale = true;
    inbox.push({ follower });
    deliver();
  }

  function follow(prefix: string, tell: (news: News) => void): () => void {
    if (isClosed) return () => undefined;
    const follower: Follower = { prefix, tell, stale: false };
    const unfollow = keys.follow(prefix, (news) => {
      if (follower.stale) return;
      inbox.push({ follower, news });
      deliver();
    });
    ends.set(follower, unfollow);
    tellAll(follower);
    return () => {
      unfollow();
      ends.delete(follower);
    };
  }

  function onReach(tell: (reachable: boolean) => void): () => void {
    let told: boolean | undefined;
    const look = () =>
      pass(() => {
        if (!reaches.has(look) || told === !isCut) return;
        told = !isCut;
        tell(told);
      });
    if (!isClosed) reaches.add(look);
    look();
    return () => void reaches.delete(look);
  }

  function setCut(to: boolean): void {
    if (isCut === to || isClosed) return;
    isCut = to;
    if (to) orphans.set(lease, clock());
    else orphans.delete(lease);
    for (const look of reaches) look();
    deliver();
  }

  async function close({ endLease = false } = {}): Promise<void> {
    if (isClosed) return;
    if (endLease) await call(() => keys.expire(lease)).catch(() => undefined);
    isClosed = true;
    orphans.set(lease, orphans.get(lease) ?? clock());
    for (const unfollow of ends.values()) unfollow();
    ends.clear();
    reaches.clear();
    clients.delete(client);
  }

  const client = {
    missed(lost: boolean) {
      if (!isCut && !lost) return;
      for (const follower of ends.keys()) if (!follower.stale) tellAll(follower);
    },
  };
  clients.add(client);
  return {
    list: (prefix) => call(() => keys.list(prefix)),
    commit: (transaction) => call(() => keys.commit(transaction, lease)),
    ...{ follow, onReach, close },
    cut: () => setCut(true),
    heal: () => setCut(false),
    hold: () => {
      held ??= [];
    },
    release() {
      const waiting = held ?? [];
      held = undefined;
      for (const run of waiting) run();
    },
    expireLease: () => keys.expire(lease),
  };
}

const unreachable = () => new WeaveError('WEAVE_DIRECTORY_UNREACHABLE', 'the directory in memory is cut off');
