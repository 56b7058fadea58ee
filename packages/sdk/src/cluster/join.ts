import {
  type Arrival,
  admitted,
  type Change,
  dropNetwork,
  hashId,
  keys,
  learnDefinitions,
  type Peer,
  SELF,
  type Write,
} from '@weave/core';
import { mustBeNobodys, outside, takeCells } from './bring-in.ts';
import type { Claims } from './claims.ts';
import { type Context, chunks, commitAsMember, isThere, unreachable } from './context.ts';
import { definitionsIn, writesOf } from './definitions.ts';
import { clusterIn } from './entries.ts';
import { withdraw } from './leave.ts';
import { isRebuilding, recall } from './recall.ts';
import { undefine } from './undefine.ts';

/** Others may be faster, but not for ever. */
const MOST_TRIES = 50;

/** Which cluster the directory is of, and which of its directories. */
export interface There {
  id: string;
  incarnation: string;
  /** Who made the directory anew a moment ago: nobody new is let in until all who are of it had time to come back. */
  settling?: string;
}

/** Undefined when it is empty. */
export async function clusterThere({ directory }: Context): Promise<There | undefined> {
  const { entries } = await directory.list(keys.cluster);
  const entry = isThere(entries, keys.cluster);
  const cluster = entry && clusterIn(entry);
  const settling = isThere(entries, keys.settling)?.value;
  return cluster && { ...cluster, ...(settling === undefined ? {} : { settling }) };
}

/** Begins a cluster in an empty directory, `anew` where there was one; answers the one that is there then. */
export async function beginCluster(context: Context, id: string, how?: 'anew'): Promise<There> {
  const { directory, host } = context;
  const ours = { id, incarnation: hashId('directory', host.state.self, String(host.clock())).slice(0, 16) };
  await directory.commit({
    when: [{ key: keys.cluster, revision: 0 }],
    writes: [
      { key: keys.cluster, value: JSON.stringify(ours) },
      ...(how === 'anew' ? [{ key: keys.settling, value: host.state.self, leased: true } as const] : []),
    ],
  });
  return (await clusterThere(context)) ?? ours;
}

/**
 * Writes this host's fence anew, by which it belongs: transactions of ours count from then on, and of those before
 * nothing is to come any more.
 */
export async function register(context: Context): Promise<void> {
  const { directory, host } = context;
  const { self } = host.state;
  const [key, alive] = [keys.fence(self), keys.alive(self)];
  context.fence = 0;
  for (let done: number | undefined; done === undefined; context.fence = done ?? 0) {
    const { entries } = await directory.list(key);
    const when = [{ key, revision: isThere(entries, key)?.revision ?? 0 }];
    const writes: Write[] = [
      { key, value: '' },
      { key: alive, value: '{}', leased: true },
      ...(await recordTold(context)),
    ];
    done = await directory.commit({ when, writes });
  }
}

/** What this host tells of itself, where that is not there. */
export async function recordTold({ directory, host }: Context): Promise<Write[]> {
  const { self, peers } = host.state;
  const { rebuilding: _, ...record } = peers.get(self)! as Peer;
  const key = keys.peer(self);
  const value = JSON.stringify(record);
  const { entries } = await directory.list(key);
  return isThere(entries, key)?.value === value ? [] : [{ key, value }];
}

/** What is recorded of cells may be of a try before. */
function forgetCells({ host, host: { state } }: Context): void {
  const given = [...state.leases].filter(([, { peer }]) => peer);
  host.commit([
    ...[...state.cells.keys()].map((id): Change => ({ table: 'cell', id, record: null })),
    ...given.map(([id]): Change => ({ table: 'lease', id, record: null })),
  ]);
}

/**
 * Brings a host that was alone into a cluster with all that it has. What runs there goes on; where it would contradict
 * what the cluster has, nothing is changed and WEAVE_JOIN_REFUSED says what.
 */
export async function joinCluster(context: Context, there: There | undefined, claims: Claims): Promise<There> {
  const { host } = context;
  let cluster = there;
  await register(context);
  forgetCells(context);
  const told: string[] = [];
  try {
    await mustBeNobodys(context);
    await claims.mustBeNobodys();
    await shareDefinitions(context, 'first', told);
    do {
      await recall(context);
      await takeCells(context);
      await claims.take();
      // The others come once what is here has its addresses.
      cluster ??= await beginCluster(context, hashId('cluster', host.state.self).slice(0, 16));
    } while (!(await belongWithAll(context, cluster, claims, told)));
  } catch (error) {
    forgetCells(context);
    await undefine(context, told).catch(() => undefined);
    // Of one whose records were lost what is there was so before.
    if (!isRebuilding(host.state)) await withdraw(context).catch(() => undefined);
    throw error;
  }
  return cluster;
}

/** What came meanwhile came as to a host that is alone: it has to be the cluster's too, or this one is not of it yet. */
const belongWithAll = (context: Context, cluster: There, claims: Claims, told: string[]): Promise<boolean> =>
  context.host.inTurn('networks', async () => {
    while (!(await tryShare(context, 'first', told)));
    const isAll = outside(context.host.state).length === 0 && claims.missing().length === 0;
    if (isAll) belong(context, cluster);
    return isAll;
  });

/** This host is of that cluster from now on, and in step with that directory of it. */
export function belong({ host }: Context, { id: cluster, incarnation }: There): void {
  const { state } = host;
  host.commit([
    { table: 'self', id: SELF, record: { ...state.selves.get(SELF), peer: state.self, cluster, incarnation } },
  ]);
}

/** Makes the networks of this host and of its cluster the same. */
export const shareDefinitions = (context: Context, arrival: Arrival, told: string[] = []): Promise<void> =>
  context.host.inTurn('networks', async () => {
    for (let tries = 0; !(await tryShare(context, arrival, told)); tries++)
      if (tries > MOST_TRIES) throw unreachable('the networks of the hosts change all the time');
  });

/** Adds the keys of what it tells. */
async function tryShare(context: Context, arrival: Arrival, keysTold: string[]): Promise<boolean> {
  const { host, directory } = context;
  const { state } = host;
  const { entries, revision } = await directory.list(keys.definitions);
  let asOf = revision;
  const shared = definitionsIn(entries);
  const guard = isThere(entries, keys.guard);
  const { dropped, added, lost } = admitted(state, shared, arrival);
  // Nothing goes for a listing that is older than what was told meanwhile: each definition moves the guard.
  if (added.length > 0 || dropped.length > 0 || !guard) {
    const writes = added.flatMap((change) => writesOf(state.self, change));
    const parts = [...chunks(writes)];
    const first = parts.shift();
    const guarded = first || !guard ? [{ key: keys.guard, value: state.self }, ...(first ?? [])] : [];
    const when = [{ key: keys.guard, revision: guard?.revision ?? 0 }];
    const done = await commitAsMember(context, when, guarded);
    if (done === undefined) return false;
    asOf = done;
    keysTold.push(...writes.map(({ key }) => key));
    for (const part of parts) await commitAsMember(context, [], part);
  }
  // What changed meanwhile, here or there, is judged anew.
  if (context.told > asOf) return false;
  if (dropped.some(({ table, id }) => table === 'network' && state.isMember(id))) return false;
  for (const { id } of lost) await cutOff(context, id);
  const learned = [...dropped, ...added];
  await host.follow({ changes: learned, networks: ids(learned, 'network') });
  if (context.told > asOf) return false;
  // What is told here is newer than what was listed.
  const told = new Set(added.map(({ id }) => id));
  const isListed = ({ id }: { id: string }) => !told.has(id);
  const changes = learnDefinitions(state, {
    networks: shared.networks.filter(isListed),
    pools: shared.pools.filter(isListed),
  });
  await host.follow({ changes, networks: ids(changes, 'network') });
  return lost.length === 0;
}

/** Another network has what this one was made of: it goes here, with what an engine still knows of it. */
async function cutOff({ host }: Context, network: string): Promise<void> {
  const { state } = host;
  const own = state.endpointsOf(network).filter(({ peer }) => peer === state.self);
  await host.carryOut({
    changes: dropNetwork(state, network),
    networks: [network],
    endpoints: own.map(({ id }) => id),
  });
  for (const { id, container, addresses } of own) {
    const of = container?.name ?? id.slice(0, 12);
    host.log('error', 'its network was given up for another one: it is cut off', { container: of, addresses });
  }
}

const ids = (changes: readonly Change[], table: string) => changes.filter((c) => c.table === table).map(({ id }) => id);
