import {
  admitted,
  type Change,
  cellsInUse,
  cidr,
  fail,
  formatAddress,
  formatCidr,
  keys,
  learnDefinitions,
  overlaps,
  type Peer,
  SELF,
  type State,
  single,
  type Write,
} from '@weave/core';
import { adoptCells, ownersOf } from './blocks.ts';
import type { Claims } from './claims.ts';
import { type Context, chunks, commitAsMember } from './context.ts';
import { writesOf } from './definitions.ts';
import { clusterIn, networkIn, peerIn, poolIn } from './entries.ts';

/** Which cluster the directory is of; undefined when it is empty. */
export async function clusterThere({ directory }: Context): Promise<string | undefined> {
  const { entries } = await directory.list(keys.cluster);
  const entry = entries.find(({ key }) => key === keys.cluster);
  return entry && clusterIn(entry)?.id;
}

/** Begins a cluster in an empty directory; answers the one that is there then. */
export async function beginCluster(context: Context, id: string): Promise<string> {
  const { directory } = context;
  await directory.commit({
    when: [{ key: keys.cluster, revision: 0 }],
    writes: [{ key: keys.cluster, value: JSON.stringify({ id }) }],
  });
  return (await clusterThere(context)) ?? id;
}

/** Writes this host's own record, by which it belongs; from then on transactions of ours count. */
export async function register(context: Context): Promise<void> {
  const { directory, host } = context;
  const { self, peers } = host.state;
  const { rebuilding: _, ...record } = peers.get(self)! as Peer;
  const key = keys.peer(self);
  const value = JSON.stringify(record);
  const writes: Write[] = [{ key, value }];
  for (;;) {
    const { entries } = await directory.list(key);
    const mine = entries.find((entry) => entry.key === key);
    if (mine?.value === value) {
      context.fence = mine.revision;
      return;
    }
    const revision = mine?.revision ?? 0;
    const done = await directory.commit({ when: [{ key, revision }], writes });
    if (done === undefined) continue;
    context.fence = done;
    return;
  }
}

/** Takes this host's record back: it could not join. */
export async function unregister(context: Context): Promise<void> {
  const writes: Write[] = [{ key: keys.peer(context.host.state.self), value: null }];
  await commitAsMember(context, [], writes);
  context.fence = 0;
}

/**
 * Brings a host that was alone into a cluster with all that it has. What runs there goes on; where it would contradict
 * what the cluster has, nothing is changed and WEAVE_JOIN_REFUSED says what.
 */
export async function joinCluster(context: Context, cluster: string, claims: Claims): Promise<void> {
  const { host } = context;
  await register(context);
  try {
    await host.inTurn('networks', () => shareDefinitions(context));
    // Until nothing is taken outside: what comes meanwhile comes as to a host that is alone.
    while (outside(context.host.state).length > 0 || claims.missing().length > 0) {
      await takeCells(context);
      await claims.take();
    }
  } catch (error) {
    await unregister(context).catch(() => undefined);
    throw error;
  }
  host.commit([{ table: 'self', id: SELF, record: { peer: host.state.self, cluster } }]);
}

async function shareDefinitions(context: Context): Promise<void> {
  const { host, directory } = context;
  const { state } = host;
  for (;;) {
    const { entries } = await directory.list(keys.definitions);
    const shared = {
      networks: entries.filter(({ key }) => key.startsWith(keys.network(''))).flatMap((e) => networkIn(e) ?? []),
      pools: entries.filter(({ key }) => key.startsWith(keys.pool(''))).flatMap((e) => poolIn(e) ?? []),
    };
    const revision = entries.find(({ key }) => key === keys.guard)?.revision ?? 0;
    const { dropped, added } = admitted(state, shared);
    const parts = [...chunks(added.flatMap((change) => writesOf(state.self, change)))];
    const guarded = [{ key: keys.guard, value: state.self }, ...(parts.shift() ?? [])];
    if ((await commitAsMember(context, [{ key: keys.guard, revision }], guarded)) === undefined) continue;
    for (const part of parts) await commitAsMember(context, [], part);
    const learned = [...dropped, ...added];
    host.follow({ changes: learned, networks: ids(learned, 'network'), endpoints: [] });
    const changes = learnDefinitions(state, shared);
    host.follow({ changes, networks: ids(changes, 'network'), endpoints: [] });
    return;
  }
}

const ids = (changes: readonly Change[], table: string) => changes.filter((c) => c.table === table).map(({ id }) => id);

/** Cells that what is taken here is in, and that are not ours. */
const outside = (state: State) =>
  [...state.pools.keys()].flatMap((pool) => cellsInUse(state, pool).map((cell) => ({ pool, cell })));

async function takeCells(context: Context): Promise<void> {
  const { state } = context.host;
  for (const { pool, cell } of outside(state)) {
    const key = keys.cell(pool, formatCidr(cell));
    await commitAsMember(context, [{ key, revision: 0 }], [{ key, value: state.self }]);
    const owned = await ownersOf(context, pool);
    adoptCells(context, pool, owned);
    const owner = owned.find((o) => formatCidr(o.cell) === formatCidr(cell))?.peer;
    if (owner === undefined || owner === state.self) continue;
    fail(
      'WEAVE_JOIN_REFUSED',
      `this host and host ${await nameOf(context, owner)} both use addresses of ${formatCidr(cell)}: here ${usersOf(state, pool, cell)}`,
    );
  }
}

async function nameOf({ directory }: Context, peer: string): Promise<string> {
  const { entries } = await directory.list(keys.peer(peer));
  return entries.flatMap((entry) => peerIn(entry)?.name ?? [])[0] ?? peer;
}

function usersOf(state: State, pool: string, cell: ReturnType<typeof cidr>): string {
  const users = [...state.endpoints.values()].flatMap((e) =>
    e.addresses
      .filter((text) => overlaps(cell, single(cidr(text))))
      .map((text) => {
        const plain = formatAddress(cidr(text));
        return `${plain} (${e.container?.name ?? e.id.slice(0, 12)})`;
      }),
  );
  return users.length > 0 ? users.slice(0, 5).join(', ') : `the engine, of ${pool}`;
}
