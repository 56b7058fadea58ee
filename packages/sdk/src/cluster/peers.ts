import { cidr, type Entry, fail, isWeaveError, keys, nameInKey, type Peer, sizeOf, type Write } from '@weave/core';
import type { PoolUse } from '../weave.ts';
import { type Context, chunks, isThere, unreachable } from './context.ts';
import { cellIn } from './entries.ts';

/** Who holds what of each pool. */
export async function poolUses(context: Context): Promise<PoolUse[]> {
  const { state } = context.host;
  const uses: PoolUse[] = [];
  let { reachable } = context;
  for (const { id, cidr: text } of state.pools.values()) {
    const network = state.networkOfPool(id)?.name;
    const owned = reachable ? await everyCell(context, id) : undefined;
    reachable = owned !== undefined;
    const held = new Map<string, bigint>();
    for (const { cell, peer } of owned ?? ownCells(context, id)) held.set(peer, (held.get(peer) ?? 0n) + sizeOf(cell));
    uses.push({
      cidr: text,
      ...(network ? { network } : {}),
      size: String(sizeOf(cidr(text))),
      holdings: [...held].map(([peer, count]) => ({ peer, name: nameOf(context, peer), addresses: String(count) })),
      active: activeIn(context, id),
      stale: !reachable,
    });
  }
  return uses;
}

/** Undefined where the directory does not answer. */
async function everyCell({ directory }: Context, pool: string) {
  try {
    const { entries } = await directory.list(keys.cells(pool));
    return entries.flatMap((entry) => cellIn(entry) ?? []);
  } catch (error) {
    if (isWeaveError(error) && error.code === 'WEAVE_DIRECTORY_UNREACHABLE') return undefined;
    throw error;
  }
}

const ownCells = ({ host: { state } }: Context, pool: string) =>
  state.poolIndex(pool).cells.map((cell) => ({ cell, peer: state.self }));

/** What other hosts have is taken too. */
const activeIn = ({ host: { state } }: Context, pool: string): number =>
  [...state.poolIndex(pool).taken.values()].filter((id) => id === '' || state.endpoints.get(id)?.peer === state.self)
    .length;

const nameOf = ({ host: { state } }: Context, peer: string): string => state.peers.get(peer)?.name ?? peer;

/** By id, start of an id, or name. */
export function peerCalled({ host: { state } }: Context, text: string): Peer {
  const found = [...state.peers.values()].filter((p) => p.id === text || p.name === text || p.id.startsWith(text));
  if (found.length === 0) fail('WEAVE_PEER_NOT_FOUND', `there is no host ${text}`);
  if (found.length > 1)
    fail('WEAVE_PEER_NOT_FOUND', `${text} is the name of ${found.length} hosts`, { hint: 'Use an id.' });
  return found[0]!;
}

/** WEAVE_PEER_ALIVE where a host is heard of, WEAVE_DIRECTORY_UNREACHABLE where that cannot be known. */
export async function mustBeGone({ directory, host, reachable }: Context, { id, name }: Peer): Promise<void> {
  if (id === host.state.self) fail('WEAVE_PEER_ALIVE', `${name} is this host`);
  if (!reachable) throw unreachable(`host ${name} cannot be removed: the directory does not answer`);
  const key = keys.alive(id);
  if (isThere((await directory.list(key)).entries, key)) fail('WEAVE_PEER_ALIVE', `host ${name} is alive`);
}

/**
 * Takes a host that is gone for good out of the cluster; its addresses are free then. Answers how many. Should it come
 * back, it finds that it does not belong any more, and gives up what others have by then.
 */
export async function removePeer(context: Context, peer: Peer): Promise<string> {
  const { directory } = context;
  const key = keys.fence(peer.id);
  const { entries } = await directory.list(key);
  const revision = isThere(entries, key)?.revision ?? 0;
  const gone = await directory.commit({
    when: [{ key, revision }, { none: keys.alive(peer.id) }],
    writes: [
      { key, value: null },
      { key: keys.peer(peer.id), value: null },
    ],
  });
  if (gone === undefined) fail('WEAVE_PEER_ALIVE', `host ${peer.name} is alive`);
  return clearAfter(context, peer.id);
}

/** What a host that was removed held and told. Stops as soon as the host is there again. */
export async function clearAfter({ directory }: Context, peer: string): Promise<string> {
  const absent = { key: keys.fence(peer), revision: 0 };
  const of = async (prefix: string) => (await directory.list(prefix)).entries.filter(({ value }) => value === peer);
  const owned = await of(keys.allCells);
  const on = (await directory.list(keys.presences(peer))).entries;
  const told: Write[] = [
    ...on.map(({ key }): Write => ({ prefix: keys.endpointsOn(nameInKey(key), peer), value: null })),
    { prefix: keys.presences(peer), value: null },
    { prefix: keys.wishes(peer), value: null },
    { prefix: keys.names(peer), value: null },
  ];
  for (const part of chunks(told))
    if ((await directory.commit({ when: [absent], writes: part })) === undefined) return '0';
  // As they were seen: were it here again meanwhile, it may have given them to others.
  for (const part of chunks([...owned, ...(await of(keys.allClaims))], 50)) {
    const when = [absent, ...part.map(({ key, revision }) => ({ key, revision }))];
    const writes = part.map(({ key }): Write => ({ key, value: null }));
    if ((await directory.commit({ when, writes })) === undefined) return '0';
  }
  return String(owned.reduce((sum, entry) => sum + sizeOfCell(entry), 0n));
}

function sizeOfCell(entry: Entry): bigint {
  const owned = cellIn(entry);
  return owned ? sizeOf(owned.cell) : 0n;
}

/** The pools of a network in which this host has no addresses of its own. */
export function lacksRoom({ host: { state } }: Context, network: string): { pool: string; within: string }[] {
  const on = state.network(network);
  return on.subnets.flatMap(({ pool, cidr: within }) =>
    pool && state.poolIndex(pool).cells.length === 0 ? [{ pool, within }] : [],
  );
}
