import type { Log } from '../log.ts';
import { type EtcdApi, type Found, type Member, Refused } from './etcd-api.ts';
import { ALIVE, below, CLUSTER, HOSTS, MANAGED, REMOVED, VOTERS } from './keys.ts';
import { type Action, actionsWanted, type HostRecord, type Seen, votersWanted } from './voters.ts';

/** The etcd of this host: of one membership at a time. */
export interface OwnEtcd {
  hasData(member: string): boolean;
  /** What runs already stays as it is. */
  run(member: string, initialCluster: string): Promise<void>;
  /** Ends it, and forgets its data. */
  drop(): Promise<void>;
}

export interface Overview {
  readonly hosts: ReadonlyMap<string, HostRecord>;
  readonly members: readonly Member[];
  readonly found: ReadonlyMap<string, Found>;
}

/** The shared value of a cluster: a host that closed a cluster of one lets nobody in any more. */
export interface ClusterValue {
  readonly id: string;
  /** Of the store: a host may have found it by itself. */
  readonly epoch?: number;
  readonly closed?: true;
}

export async function overview(api: EtcdApi): Promise<Overview & { alive: Set<string> }> {
  const { found, members } = await api.look([MANAGED, ALIVE]);
  const hosts = new Map(below(HOSTS, found.keys()).map((peer) => [peer, read<HostRecord>(found, HOSTS + peer)!]));
  return { hosts, members, found, alive: new Set(below(ALIVE, found.keys())) };
}

export function read<T>(found: ReadonlyMap<string, Found>, key: string): T | undefined {
  const value = found.get(key)?.value;
  return value === undefined ? undefined : (JSON.parse(value) as T);
}

const as = (found: ReadonlyMap<string, Found>, key: string) => ({ key, revision: found.get(key)?.revision ?? '0' });

/** The first host's: the cluster begins with it. May be repeated. */
export const begin = (api: EtcdApi, value: ClusterValue, self: string, host: HostRecord): Promise<boolean> =>
  api.commit(
    [{ key: CLUSTER, revision: '0' }],
    [
      { key: CLUSTER, value: JSON.stringify(value) },
      { key: VOTERS, value: JSON.stringify([self]) },
      { key: HOSTS + self, value: JSON.stringify(host) },
    ],
  );

export type Registered = 'registered' | 'closed' | 'not yet' | 'removed';

/**
 * Writes down that this host is of the cluster. It moves the cluster's own key too, so that whoever closes it notices.
 * `admitted`: it was let in anew, also if it had been sent away.
 */
export async function register(api: EtcdApi, self: string, host: HostRecord, admitted = false): Promise<Registered> {
  const { found } = await overview(api);
  const cluster = read<ClusterValue>(found, CLUSTER);
  if (!cluster) return 'not yet';
  if (cluster.closed) return 'closed';
  if (found.has(REMOVED + self) && !admitted) return 'removed';
  const value = JSON.stringify(host);
  if (found.get(HOSTS + self)?.value === value && !found.has(REMOVED + self)) return 'registered';
  const done = await api.commit(
    [as(found, CLUSTER), as(found, REMOVED + self)],
    [
      { key: CLUSTER, value: JSON.stringify(cluster) },
      { key: HOSTS + self, value },
      { key: REMOVED + self, value: null },
    ],
  );
  return done ? 'registered' : 'not yet';
}

/** Ends a cluster that no other host is of; false where one is. Nobody is let in afterwards. */
export async function closeCluster(api: EtcdApi, self: string): Promise<boolean> {
  for (;;) {
    const { found, hosts } = await overview(api);
    if ([...hosts.keys()].some((peer) => peer !== self)) return false;
    const cluster = read<ClusterValue>(found, CLUSTER);
    if (!cluster || cluster.closed) return true;
    const closed: ClusterValue = { ...cluster, closed: true };
    if (await api.commit([as(found, CLUSTER)], [{ key: CLUSTER, value: JSON.stringify(closed) }])) return true;
  }
}

/** A host is of the cluster no more; `removed`: and does not come back by itself. */
export const unregister = (api: EtcdApi, peer: string, removed: boolean): Promise<boolean> =>
  api.commit([], [{ key: HOSTS + peer, value: null }, ...(removed ? [{ key: REMOVED + peer, value: '{}' }] : [])]);

export interface Watching {
  readonly self: string;
  readonly host: HostRecord;
  readonly api: EtcdApi;
  readonly etcd: OwnEtcd;
  readonly log: Log;
  /** Peers that have not been alive since when, on this host's own clock. */
  readonly awaySince: Map<string, number>;
  /** After so long a voter that is away is replaced, if another host is there. */
  readonly graceMs: number;
}

/** One look at the cluster and one step towards the voters that it shall have; whether there was something to do. */
export async function tend(watching: Watching): Promise<Overview & { acted: boolean }> {
  const { self, host, api, log } = watching;
  const now = await overview(api);
  const plan = read<string[]>(now.found, VOTERS) ?? [];
  const seen: Seen = { self, at: host.etcd, plan, ...now, ...presence(watching, now) };
  const wanted = votersWanted(seen);
  if (wanted.join() !== seen.plan.join()) {
    const changed = await api.commit([as(now.found, VOTERS)], [{ key: VOTERS, value: JSON.stringify(wanted) }]);
    if (changed) log('info', 'the cluster’s store moves', { from: seen.plan, to: wanted });
    return { ...now, acted: true };
  }
  let acted = false;
  for (const action of actionsWanted(seen, watching.etcd.hasData)) acted = (await act(watching, action)) || acted;
  return { ...now, acted };
}

function presence(
  { self, awaySince, graceMs }: Watching,
  { hosts, alive: leased }: { hosts: Overview['hosts']; alive: Set<string> },
) {
  const alive = new Set(leased).add(self);
  const now = performance.now();
  for (const peer of [...awaySince.keys()]) if (alive.has(peer) || !hosts.has(peer)) awaySince.delete(peer);
  for (const peer of hosts.keys()) if (!alive.has(peer) && !awaySince.has(peer)) awaySince.set(peer, now);
  const dead = new Set([...awaySince].filter(([, since]) => now - since >= graceMs).map(([peer]) => peer));
  return { alive, dead };
}

/** Whether it changed something. */
async function act({ api, etcd, host, log }: Watching, action: Action): Promise<boolean> {
  try {
    switch (action.do) {
      case 'run':
        await etcd.run(action.member, action.initialCluster);
        return false;
      case 'stop':
        await etcd.drop();
        return false;
      case 'add':
        await etcd.drop();
        await api.addLearner(host.etcd);
        break;
      case 'promote':
        await api.promote(action.member);
        break;
      case 'update':
        await api.update(action.member, host.etcd);
        break;
      case 'remove':
        await api.remove(action.member);
    }
    log('info', 'the cluster’s store changes', { ...action });
    return true;
  } catch (error) {
    // Another host was first, or it is not time yet: seen again with the next look.
    if (!(error instanceof Refused)) throw error;
    log('debug', 'the cluster’s store does not change yet', { ...action, why: error.message });
    return true;
  }
}
