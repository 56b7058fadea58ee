import type { Member } from './etcd-api.ts';

/** What a host says of itself to the cluster's other hosts. */
export interface HostRecord {
  readonly name: string;
  /** Where its control port is. */
  readonly control: readonly string[];
  /** Where its etcd is, or would be, for other etcds. */
  readonly etcd: readonly string[];
  /** Whether it has the binary. */
  readonly able: boolean;
}

export interface Seen {
  readonly self: string;
  /** Where the etcd of this host is, or would be, for other etcds. */
  readonly at: readonly string[];
  /** The peers that shall be voters, as agreed on. */
  readonly plan: readonly string[];
  readonly hosts: ReadonlyMap<string, HostRecord>;
  readonly alive: ReadonlySet<string>;
  /** Not alive for so long that they are given up as voters. */
  readonly dead: ReadonlySet<string>;
  readonly members: readonly Member[];
}

/**
 * Who shall be voters: one of up to two hosts, three of more. As few changes as will do: who is in stays, unless it is
 * dead for long and another is there, or is no host of the cluster any more.
 */
export function votersWanted({ plan, hosts, alive, dead, members }: Seen): string[] {
  const votes = (peer: string) => members.some((member) => member.name === peer && !member.isLearner);
  const rank = (peer: string) => {
    if (!plan.includes(peer)) return 3;
    if (dead.has(peer)) return 4;
    return votes(peer) ? Number(!alive.has(peer)) : 2;
  };
  const candidates = [...hosts]
    .filter(([peer, { able }]) => able && (plan.includes(peer) || alive.has(peer)))
    .map(([peer]) => peer)
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  return candidates.length === 0 ? [...plan] : candidates.slice(0, candidates.length >= 3 ? 3 : 1);
}

/** What this host does next towards the plan. Each may be done again, and is refused by etcd where it does not fit. */
export type Action =
  | { readonly do: 'add' }
  | { readonly do: 'run'; readonly member: string; readonly initialCluster: string }
  | { readonly do: 'promote'; readonly member: string }
  | { readonly do: 'update'; readonly member: string }
  | { readonly do: 'remove'; readonly member: string; readonly peer: string }
  | { readonly do: 'stop' };

/** `hasData`: whether this host has the data of that membership. */
export function actionsWanted(seen: Seen, hasData: (member: string) => boolean): Action[] {
  const mine = memberOf(seen, seen.self);
  const own = mine ? ownActions(seen, mine, hasData(mine.id)) : entry(seen);
  const gone = unwanted(seen);
  return gone ? [...own, { do: 'remove', member: gone.id, peer: gone.name }] : own;
}

/** A member that never ran has no name yet, only its addresses. */
const memberOf = ({ members, hosts }: Seen, peer: string): Member | undefined =>
  members.find(({ name }) => name === peer) ??
  members.find(({ name, peerURLs }) => !name && peerURLs.some((url) => hosts.get(peer)?.etcd.includes(url)));

/** etcd takes one learner at a time. */
function entry({ self, at, plan, members }: Seen): Action[] {
  // It runs here under another name, of before this host's records were lost, until it has said the new one.
  if (members.some(({ peerURLs }) => peerURLs.some((url) => at.includes(url)))) return [];
  if (!plan.includes(self)) return [{ do: 'stop' }];
  return members.some(({ name, isLearner }) => isLearner || !name) ? [] : [{ do: 'add' }];
}

function ownActions(seen: Seen, mine: Member, hasData: boolean): Action[] {
  const { self, hosts, members } = seen;
  const member = mine.id;
  // Its data is lost: what it promised the others is not known any more, so it comes anew under another identity.
  if (mine.name && !hasData) return members.length > 1 ? [{ do: 'remove', member, peer: self }] : [];
  const run: Action = { do: 'run', member, initialCluster: initialCluster(seen, mine) };
  const moved = hosts.has(self) && hosts.get(self)!.etcd.join() !== mine.peerURLs.join();
  if (moved && mine.name) return [run, { do: 'update', member }];
  return mine.isLearner && mine.name ? [run, { do: 'promote', member }] : [run];
}

const initialCluster = ({ members, self }: Seen, mine: Member): string =>
  members.flatMap(({ id, name, peerURLs }) => peerURLs.map((url) => `${id === mine.id ? self : name}=${url}`)).join();

/**
 * A member that is not in the plan: at once where its host is away, as etcd takes nobody while a member is; else when
 * all that are wanted vote. Never one without whom the rest would have no majority.
 */
function unwanted(seen: Seen): Member | undefined {
  const { plan, members, alive } = seen;
  const wanted = plan.map((peer) => memberOf(seen, peer));
  const complete = wanted.every((member) => member?.name && !member.isLearner);
  return members.find((member) => {
    if (wanted.includes(member)) return false;
    const there = alive.has(member.name);
    if (there && !complete) return false;
    const rest = members.filter((other) => other !== member && !other.isLearner);
    return rest.filter(({ name }) => alive.has(name)).length > rest.length / 2;
  });
}
