import {
  type Address,
  type Cidr,
  contains,
  covers,
  formatAddress,
  formatCidr,
  hostBounds,
  networkOf,
  overlaps,
  sizeOf,
} from './address.ts';
import { WeaveError } from './errors.ts';
import { type Cell, type Change, cellId, leaseId } from './model.ts';
import type { Grid, PoolIndex } from './pool-index.ts';
import type { State } from './state.ts';

/*
   Hosts that share a directory divide each pool into cells on a fixed grid, so that two cells never overlap and each
   is one key there. Who owns a cell hands out its addresses without asking anybody.
*/

/** A cell has no more addresses than this, and a pool, where it has so many, no fewer than 64 cells. */
const CELL_BITS = 6;
const BITS = { 4: 32, 6: 128 } as const;

/** What the verb asked for is in no cell of this host: one that has it may be had from the directory. */
export class CellNeeded extends WeaveError {
  readonly pool: string;
  /** Where in the pool. */
  readonly within: Cidr;
  /** Addresses there that are of no use. */
  readonly except: ReadonlySet<bigint>;

  constructor(pool: string, within: Cidr, message: string, except: ReadonlySet<bigint> = new Set()) {
    super('WEAVE_POOL_EXHAUSTED', message);
    this.pool = pool;
    this.within = within;
    this.except = except;
  }
}

/** The cell of a pool that an address is in: of the grid that was there when its part of the pool came. */
export function cellOf({ cidr: pool, grownFrom }: Grid, addr: Address): Cidr {
  const at = grownFrom.findIndex((part) => contains(part, addr));
  const [part = pool, inner] = at < 0 ? [pool, grownFrom.at(-1)] : [grownFrom[at], grownFrom[at - 1]];
  const most = BITS[pool.family];
  let bits = Math.max(0, Math.min(CELL_BITS, most - part.length - CELL_BITS));
  const cell = () => networkOf({ ...addr, length: most - bits });
  while (inner && overlaps(cell(), inner)) bits--;
  return cell();
}

export const ownsAddress = ({ cells }: PoolIndex, addr: Address): boolean => cells.some((cell) => contains(cell, addr));

/** One address, as what a cell may also be: given by the owner of the cell around it. */
export const single = (addr: Address): Cidr => ({ ...addr, length: BITS[addr.family] });

/** Whether a pool can be divided so; one that was removed and made anew may have been divided in another way before. */
export const fits = (pool: Grid, cell: Cidr): boolean =>
  covers(pool.cidr, cell) && (isSingle(cell) || formatCidr(cellOf(pool, cell)) === formatCidr(cell));

/** The lowest cell of a pool inside `within` that nobody owns; past so many where there are more. */
export function freeCell(
  pool: Grid,
  within: Cidr,
  owned: ReadonlySet<string>,
  { skip = 0, misfits = [] }: { skip?: number; misfits?: readonly Cidr[] } = {},
): Cidr | undefined {
  const { first, last } = hostBounds(pool.cidr, within);
  let found: Cidr | undefined;
  for (let value = first; value <= last; ) {
    const cell = cellOf(pool, { family: pool.cidr.family, value });
    value = cell.value + sizeOf(cell);
    if (owned.has(formatCidr(cell)) || misfits.some((each) => overlaps(each, cell))) continue;
    found = cell;
    if (skip-- <= 0) break;
  }
  return found;
}

/** The cells that what is taken of a pool is in, and that are not this host's: what it has to own. */
export function cellsInUse(state: State, pool: string): Cidr[] {
  const index = state.poolIndex(pool);
  const { cidr: whole, taken, cells } = index;
  const gateways = new Set(state.networkOfPool(pool)?.subnets.flatMap((s) => s.gateway ?? []));
  const found = new Map<string, Cidr>();
  for (const value of taken.keys()) {
    const addr = { family: whole.family, value };
    const text = formatAddress(addr);
    // A gateway is every host's.
    if (gateways.has(text) || state.leases.get(leaseId(pool, text))?.peer) continue;
    if (cells.some((cell) => contains(cell, addr))) continue;
    const cell = cellOf(index, addr);
    found.set(formatCidr(cell), cell);
  }
  return [...found.values()];
}

/** Cells of this host in a pool of which nothing is taken. */
export function idleCells(state: State, pool: string): Cidr[] {
  const { cells, taken } = state.poolIndex(pool);
  const busy = new Set<Cidr>();
  for (const value of taken.keys())
    for (const cell of cells) if (contains(cell, { family: cell.family, value })) busy.add(cell);
  return cells.filter((cell) => !busy.has(cell));
}

/** Whether this host could hand out so many addresses of a pool without asking. */
export function hasRoomFor(state: State, pool: string, count: number): boolean {
  const { cells, taken, cidr: whole } = state.poolIndex(pool);
  let room = 0;
  for (const cell of cells.toReversed()) {
    const { first, last } = hostBounds(whole, cell);
    for (let value = last; value >= first; value--) if (!taken.has(value) && ++room >= count) return true;
  }
  return room >= count;
}

export const cellChange = (pool: string, cell: Cidr, owned: boolean): Change => {
  const record: Cell = { pool, cidr: formatCidr(cell) };
  return { table: 'cell', id: cellId(pool, record.cidr), record: owned ? record : null };
};

/** Who has a cell. */
export interface Owned {
  readonly cell: Cidr;
  readonly peer: string;
}

const isSingle = (cell: Cidr): boolean => cell.length === BITS[cell.family];

/** Who may hand out an address: the owner of that alone, else of the cell around it. */
export const narrowest = <T extends { cell: Cidr }>(owned: readonly T[], addr: Address): T | undefined =>
  owned.filter(({ cell }) => contains(cell, addr)).sort((a, b) => b.cell.length - a.cell.length)[0];

/**
 * The records of this host as the owners of a pool's cells say: those that are ours, and what of them others have,
 * which is not to be handed out.
 */
export function cellsAsOwned(state: State, pool: string, owned: readonly Owned[]): Change[] {
  const index = state.poolIndex(pool);
  const { cells, taken } = index;
  const before = new Set(cells.map(formatCidr));
  const records = [...state.cells].filter(([, cell]) => cell.pool === pool);
  const ours = owned.filter(({ cell, peer }) => peer === state.self && fits(index, cell)).map(({ cell }) => cell);
  const after = new Set(ours.map(formatCidr));
  const others = new Map(
    owned
      .filter(({ cell, peer }) => peer !== state.self && isSingle(cell) && ours.some((each) => covers(each, cell)))
      .map(({ cell, peer }) => [formatAddress(cell), { peer, value: cell.value }]),
  );
  const leases = [...state.leases.values()].filter((lease) => lease.pool === pool && lease.peer);
  return [
    ...records.filter(([, cell]) => !after.has(cell.cidr)).map(([id]): Change => ({ table: 'cell', id, record: null })),
    ...ours.filter((cell) => !before.has(formatCidr(cell))).map((cell) => cellChange(pool, cell, true)),
    ...leases.filter(({ address }) => !others.has(address)).map((lease) => leaseChange(pool, lease.address, undefined)),
    ...[...others]
      .filter(([text, { peer, value }]) => {
        const known = state.leases.get(leaseId(pool, text));
        return known ? known.peer !== undefined && known.peer !== peer : !taken.has(value);
      })
      .map(([text, { peer }]) => leaseChange(pool, text, peer)),
  ];
}

/** What of a pool is used here and is not this host's: a gateway is every host's. */
export function usedOfOthers(state: State, pool: string, owned: readonly Owned[]): Address[] {
  const { cidr: whole, taken } = state.poolIndex(pool);
  const gateways = new Set(state.networkOfPool(pool)?.subnets.flatMap((s) => s.gateway ?? []));
  return [...taken.keys()]
    .map((value): Address => ({ family: whole.family, value }))
    .filter((addr) => {
      const text = formatAddress(addr);
      if (gateways.has(text) || state.leases.get(leaseId(pool, text))?.peer) return false;
      return narrowest(owned, addr)?.peer !== state.self;
    });
}

const leaseChange = (pool: string, address: string, peer: string | undefined): Change => ({
  table: 'lease',
  id: leaseId(pool, address),
  record: peer === undefined ? null : { pool, address, peer },
});

/** What a host that asks can be given of ours: a cell of which nothing is taken, else one address; nothing else. */
export function giftOf(
  state: State,
  pool: string,
  { peer, address: wanted, within }: { peer: string; address?: Address | undefined; within?: Cidr | undefined },
): { cell: Cidr; changes: Change[] } | undefined {
  const index = state.poolIndex(pool);
  const idle = within && idleCells(state, pool).findLast((cell) => overlaps(cell, within) && fits(index, cell));
  if (idle) return { cell: idle, changes: given(state, pool, idle, peer) };
  const addr = wanted ?? (within && anyFree(state, pool, within));
  const { taken, cells } = index;
  if (!addr || taken.has(addr.value) || !cells.some((cell) => contains(cell, addr))) return undefined;
  return { cell: single(addr), changes: given(state, pool, single(addr), peer) };
}

function given(state: State, pool: string, cell: Cidr, peer: string): Change[] {
  const { cells } = state.poolIndex(pool);
  const isOwn = (each: Cidr) => formatCidr(each) === formatCidr(cell);
  const isInside = isSingle(cell) && cells.some((each) => !isOwn(each) && covers(each, cell));
  return [
    ...(cells.some(isOwn) ? [cellChange(pool, cell, false)] : []),
    ...(isInside ? [leaseChange(pool, formatAddress(cell), peer)] : []),
  ];
}

/** Whether something of this host's own is in a cell. */
export function isUsed(state: State, pool: string, cell: Cidr): boolean {
  const { taken } = state.poolIndex(pool);
  return [...taken].some(
    ([value, owner]) =>
      contains(cell, { family: cell.family, value }) && (owner !== '' || !leaseGiven(state, pool, cell, value)),
  );
}

const leaseGiven = (state: State, pool: string, { family }: Cidr, value: bigint): boolean =>
  state.leases.get(leaseId(pool, formatAddress({ family, value })))?.peer !== undefined;

/** Any address of ours that is free. */
export function anyFree(
  state: State,
  pool: string,
  within: Cidr,
  except: ReadonlySet<bigint> = new Set(),
): Address | undefined {
  const { cells, taken, cidr: whole } = state.poolIndex(pool);
  for (const cell of cells.filter((each) => overlaps(each, within))) {
    const { first, last } = hostBounds(whole, covers(cell, within) ? within : cell);
    // From its end: what is given away should not make holes where the next one is looked for.
    for (let value = last; value >= first; value--)
      if (!taken.has(value) && !except.has(value)) return { family: whole.family, value };
  }
  return undefined;
}
