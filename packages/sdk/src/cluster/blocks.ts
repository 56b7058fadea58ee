import {
  type Address,
  address,
  anyFree,
  type CellNeeded,
  type Cidr,
  cellChange,
  cellOf,
  cidr,
  cidrInKey,
  contains,
  covers,
  type Entry,
  fail,
  formatAddress,
  formatCidr,
  freeCell,
  keys,
  overlaps,
  ownCell,
  ownsAddress,
  single,
  sizeOf,
  WeaveError,
} from '@weave/core';
import { type Context, commitAsMember, unreachable } from './context.ts';
import { wish } from './wishes.ts';

/** Who owns the cells of a pool, as the directory has it. */
export interface Owned {
  cell: Cidr;
  peer: string;
  entry: Entry;
}

export async function ownersOf({ directory }: Context, pool: string): Promise<Owned[]> {
  const { entries } = await directory.list(keys.cells(pool));
  return entries.map((entry) => ({ cell: cidr(cidrInKey(entry.key)), peer: entry.value, entry }));
}

/** What earlier owners of a cell gave away of it, address by address. */
const givenIn = (owned: readonly Owned[], self: string) =>
  new Map(
    owned
      .filter(({ cell, peer }) => peer !== self && formatCidr(single(cell)) === formatCidr(cell))
      .map(({ cell, peer }) => [formatCidr(cell), peer]),
  );

/** Ours there and not here: given to us, or taken just before this process died. */
export function adoptCells({ host }: Context, pool: string, owned: readonly Owned[]): void {
  const { state } = host;
  const mine = new Set(state.poolIndex(pool).cells.map(formatCidr));
  const given = givenIn(owned, state.self);
  for (const { cell, peer } of owned)
    if (peer === state.self && !mine.has(formatCidr(cell))) host.commit(ownCell(pool, cell, given));
}

/** How often somebody else may be faster. */
const TRIES = 50;

/** Makes room for what a verb needs, or throws why there is none: who holds it. */
export async function acquire(context: Context, needed: CellNeeded): Promise<void> {
  const { host, reachable } = context;
  const { state } = host;
  const { pool, within } = needed;
  if (hasRoom(context, pool, within)) return;
  if (!reachable)
    throw unreachable(`${needed.message}: more would have to be asked for, and the directory does not answer`);
  for (let tries = 0; tries < TRIES; tries++) {
    const owned = await ownersOf(context, pool);
    if (!state.pools.has(pool)) fail('WEAVE_POOL_NOT_FOUND', `there is no address pool ${pool}`);
    adoptCells(context, pool, owned);
    if (hasRoom(context, pool, within)) return;
    const isOne = sizeOf(within) === 1n;
    const free = isOne ? freeAround(context, pool, within, owned) : freeInside(context, pool, within, owned);
    if (free) {
      await take(context, pool, free, owned);
      continue;
    }
    const denials = await wish(context, { pool, within, owned });
    if (denials) throw exhausted(context, needed, owned, denials);
  }
  throw unreachable(`${needed.message}: other hosts were faster, again and again`);
}

function hasRoom({ host: { state } }: Context, pool: string, within: Cidr): boolean {
  if (!state.pools.has(pool)) return false;
  const index = state.poolIndex(pool);
  return sizeOf(within) === 1n ? ownsAddress(index, within) : anyFree(state, pool, within) !== undefined;
}

/** The cell around one address, when nobody owns it. */
function freeAround({ host }: Context, pool: string, addr: Address, owned: readonly Owned[]): Cidr | undefined {
  const cell = cellOf(host.state.poolIndex(pool).cidr, addr);
  return owned.some((o) => contains(o.cell, addr) || formatCidr(o.cell) === formatCidr(cell)) ? undefined : cell;
}

function freeInside({ host }: Context, pool: string, within: Cidr, owned: readonly Owned[]): Cidr | undefined {
  const whole = host.state.poolIndex(pool).cidr;
  return freeCell(whole, within, new Set(owned.map(({ cell }) => formatCidr(cell))));
}

/** Somebody may be faster; whoever asks looks again. */
async function take(context: Context, pool: string, cell: Cidr, owned: readonly Owned[]): Promise<void> {
  const { host } = context;
  const key = keys.cell(pool, formatCidr(cell));
  const done = await commitAsMember(context, [{ key, revision: 0 }], [{ key, value: host.state.self }]);
  if (done && host.state.pools.has(pool)) host.commit(ownCell(pool, cell, givenIn(owned, host.state.self)));
}

function exhausted(
  { host }: Context,
  { pool, within, message }: CellNeeded,
  owned: readonly Owned[],
  denials: ReadonlyMap<string, string>,
): WeaveError {
  const nameOf = (peer: string) => host.state.peers.get(peer)?.name ?? peer;
  if (sizeOf(within) === 1n) {
    const [[peer, why] = ['', '']] = denials;
    return new WeaveError(
      'WEAVE_ADDRESS_IN_USE',
      `${formatAddress(within)} is in use by ${why} on host ${nameOf(peer)}`,
    );
  }
  const held = new Map<string, bigint>();
  for (const { cell, peer } of owned)
    if (overlaps(cell, within)) held.set(peer, (held.get(peer) ?? 0n) + sizeOf(covers(within, cell) ? cell : within));
  const list = [...held].map(([peer, count]) => `${nameOf(peer)} ${count}`).sort();
  return new WeaveError('WEAVE_POOL_EXHAUSTED', `${message}; of its addresses hold: ${list.join(', ')}`, {
    hint: host.state.pools.has(pool) ? 'A host that is gone for good gives up what it holds by: weave rmpeer' : '',
  });
}

/**
 * Makes directory and records agree on which cells are ours, after a gap. Answers the cells that were ours and now are
 * another host's: their addresses are not ours any more.
 */
export async function syncCells(context: Context): Promise<{ pool: string; cell: Cidr }[]> {
  const { host } = context;
  const { state } = host;
  const lost: { pool: string; cell: Cidr }[] = [];
  for (const pool of [...state.pools.keys()]) {
    const owned = await ownersOf(context, pool);
    if (!state.pools.has(pool)) continue;
    adoptCells(context, pool, owned);
    const owners = new Map(owned.map(({ cell, peer }) => [formatCidr(cell), peer]));
    for (const cell of state.poolIndex(pool).cells) {
      const text = formatCidr(cell);
      const key = keys.cell(pool, text);
      if (owners.get(text) === state.self) continue;
      const isBack =
        !owners.has(text) && (await commitAsMember(context, [{ key, revision: 0 }], [{ key, value: state.self }]));
      if (!isBack) lost.push({ pool, cell });
    }
    if (state.pools.has(pool)) host.commit(withdrawn(context, pool, owners));
  }
  for (const { pool, cell } of lost) host.commit([cellChange(pool, cell, false)]);
  return lost;
}

/** What was given to others and did not reach them is free again. */
function withdrawn({ host: { state } }: Context, pool: string, owners: ReadonlyMap<string, string>) {
  return [...state.leases].flatMap(([id, lease]) => {
    if (lease.pool !== pool || !lease.peer) return [];
    const text = formatCidr(single(address(lease.address)));
    return owners.get(text) === lease.peer ? [] : [{ table: 'lease', id, record: null } as const];
  });
}
