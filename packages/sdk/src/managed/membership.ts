import { fail } from '@weave/core';
import type { Log } from '../log.ts';
import { type Credentials, etcdApi } from './etcd-api.ts';
import { CLUSTER, REMOVED } from './keys.ts';
import {
  begin,
  type ClusterValue,
  closeCluster,
  type Overview,
  overview,
  type Registered,
  read,
  register,
  tend,
  unregister,
} from './members.ts';
import type { News } from './messages.ts';
import { clusterEtcd, type EtcdPlace } from './own-etcd.ts';
import type { Subject } from './pki.ts';
import type { ClusterRecord, Shelf } from './record.ts';
import type { HostRecord } from './voters.ts';

export interface MembershipOptions {
  readonly shelf: Shelf;
  readonly subject: Subject;
  readonly host: HostRecord;
  readonly place: EtcdPlace;
  readonly graceMs: number;
  readonly log: Log;
}

/** `closed`: the cluster ended before anybody joined it. `left`: nothing of this host is in it any more. */
export type Step = 'idle' | 'acted' | 'closed' | 'left';

/** This host in one cluster: its credentials there, its part of the store, what it knows of the others. */
export interface Membership {
  readonly cluster: ClusterRecord;
  readonly credentials: Credentials;
  readonly seen: Overview | undefined;
  readonly etcdPid: number | undefined;
  /** Whether what this host had of the store is gone. */
  readonly lost: boolean;
  /** Rejects where its store does not answer. */
  look(): Promise<void>;
  /** Writes down that this host is of it, which was just let in. */
  register(): Promise<Registered>;
  /** False where another host is of it. */
  closeAlone(): Promise<boolean>;
  /** One look, and one step towards what shall be. */
  step(leaving: boolean): Promise<Step>;
  /** Takes over where another host last saw the store; of an older one it may have seen nothing since. */
  learn(news: News): void;
  /** WEAVE_INVALID_REQUEST where the store answers, WEAVE_ETCD_MISSING where this host cannot begin another. */
  mustBeLost(): Promise<void>;
  remove(peer: string): Promise<void>;
  end(): Promise<void>;
}

export function createMembership(cluster: ClusterRecord, options: MembershipOptions): Membership {
  const { shelf, subject, host, place, graceMs, log } = options;
  const self = place.peer;
  const credentials = shelf.credentials(cluster.id, subject);
  const etcd = clusterEtcd(shelf, cluster, place);
  // Its own first, where there is one: this host may have moved since.
  const api = etcdApi(() => [...(etcd.pid ? place.urls.client : []), ...cluster.endpoints], credentials);
  const awaySince = new Map<string, number>();
  let seen: Overview | undefined;
  etcd.resume();

  async function step(leaving: boolean): Promise<Step> {
    if (cluster.founding) {
      if (leaving) return 'left';
      await begin(api, { id: cluster.id, epoch: cluster.epoch }, self, host);
      cluster.founding = false;
      shelf.save();
    }
    const { acted, ...now } = await tend({ self, host, api, etcd, log, awaySince, graceMs });
    seen = now;
    remember(now);
    if (read<ClusterValue>(now.found, CLUSTER)?.closed) return 'closed';
    if (leaving) return leave(now);
    if (now.found.has(REMOVED + self)) sentAway();
    else if (JSON.stringify(now.hosts.get(self)) !== JSON.stringify(host)) await register(api, self, host);
    return acted ? 'acted' : 'idle';
  }

  /** The others take over what this host has of the store; where there are none it ends with it. */
  async function leave({ hosts, members }: Overview): Promise<Step> {
    if (![...hosts.keys()].some((peer) => peer !== self)) return 'left';
    if (hosts.has(self)) await unregister(api, self, false);
    return hosts.has(self) || members.some(({ name }) => name === self) ? 'acted' : 'left';
  }

  function sentAway(): void {
    if (cluster.removed) return;
    log('warn', 'this host was removed from its cluster', { cluster: cluster.id });
    cluster.removed = true;
    shelf.save();
  }

  /** What lets this host find the cluster again. */
  function remember({ hosts, members, found }: Overview): void {
    const before = JSON.stringify(cluster);
    cluster.epoch = Math.max(cluster.epoch, read<ClusterValue>(found, CLUSTER)?.epoch ?? 0);
    const endpoints = members.filter(({ isLearner }) => !isLearner).flatMap(({ clientURLs }) => clientURLs);
    if (endpoints.length > 0) cluster.endpoints = [...new Set(endpoints)].sort();
    cluster.hosts = Object.fromEntries([...hosts].map(([peer, { control }]) => [peer, [...control]]));
    for (const peer of hosts.keys()) delete cluster.untold?.[peer];
    cluster.settled ||= [...hosts.keys()].some((peer) => peer !== self);
    if (JSON.stringify(cluster) !== before) shelf.save();
  }

  return {
    ...{ cluster, credentials, step },
    get seen() {
      return seen;
    },
    get etcdPid() {
      return etcd.pid;
    },
    get lost() {
      return etcd.lost;
    },
    look: async () => void (await overview(api)),
    register: () => register(api, self, host, true),
    closeAlone: () => closeCluster(api, self),
    learn({ endpoints, hosts, epoch }) {
      if (epoch < cluster.epoch) return;
      Object.assign(cluster, { endpoints, hosts: { ...cluster.hosts, ...hosts } });
      shelf.save();
    },
    async mustBeLost() {
      if (!place.binary) fail('WEAVE_ETCD_MISSING', 'etcd is not installed on this host');
      const answers = await overview(api).then(
        () => true,
        () => false,
      );
      if (answers) fail('WEAVE_INVALID_REQUEST', 'the cluster’s store answers', { hint: 'Nothing is lost.' });
    },
    async remove(peer) {
      await unregister(api, peer, true);
      delete cluster.untold?.[peer];
    },
    async end() {
      api.close();
      await etcd.end();
    },
  };
}

/** One try to get from a cluster of one, or none, into another: the membership there, or why not ('not yet': soon). */
export async function approach(
  pending: ClusterRecord,
  current: Membership | undefined,
  options: MembershipOptions,
): Promise<Membership | string> {
  const next = createMembership(pending, options);
  const answer = await change(current, next).catch(async (error) => {
    await next.end();
    throw error;
  });
  if (answer === 'registered') return next;
  await next.end();
  return answer === 'removed' || answer === 'closed' ? `it is ${answer}` : answer;
}

async function change(from: Membership | undefined, to: Membership): Promise<Registered | typeof JOINED> {
  // What it has is not given up for what it cannot reach.
  if (from) await to.look();
  if (!from || (await from.closeAlone())) return to.register();
  from.cluster.settled = true;
  return JOINED;
}

const JOINED = 'another host has joined this one by now';
