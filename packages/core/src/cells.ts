import {
  type Address,
  type Cidr,
  cidr,
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
import type { PoolIndex, State } from './state.ts';

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

  constructor(pool: string, within: Cidr, message: string) {
    super('WEAVE_POOL_EXHAUSTED', message);
    this.pool = pool;
    this.within = within;
  }
}

/** The cell of a pool that an address is in. */
export function cellOf(pool: Cidr, addr: Address): Cidr {
  const bits = Math.max(0, Math.min(CELL_BITS, BITS[pool.family] - pool.length - CELL_BITS));
  return networkOf({ ...addr, length: BITS[pool.family] - bits });
}

export const ownsAddress = ({ cells }: PoolIndex, addr: Address): boolean => cells.some((cell) => contains(cell, addr));

/** One address, as what a cell may also be: given by the owner of the cell around it. */
export const single = (addr: Address): Cidr => ({ ...addr, length: BITS[addr.family] });

/** The lowest cell of a pool inside `within` that nobody owns. */
export function freeCell(pool: Cidr, within: Cidr, owned: ReadonlySet<string>): Cidr | undefined {
  const { first, last } = hostBounds(pool, within);
  for (let value = first; value <= last; ) {
    const cell = cellOf(pool, { family: pool.family, value });
    if (!owned.has(formatCidr(cell))) return cell;
    value = cell.value + sizeOf(cell);
  }
  return undefined;
}

/** The cells that what is taken of a pool is in: what a host that was alone so far has to own. */
export function cellsInUse(state: State, pool: string): Cidr[] {
  const { cidr: whole, taken, cells } = state.poolIndex(pool);
  const gateways = new Set(state.networkOfPool(pool)?.subnets.flatMap((s) => s.gateway ?? []));
  const found = new Map<string, Cidr>();
  for (const value of taken.keys()) {
    const addr = { family: whole.family, value };
    // A gateway is every host's.
    if (gateways.has(formatAddress(addr)) || cells.some((cell) => contains(cell, addr))) continue;
    const cell = cellOf(whole, addr);
    found.set(formatCidr(cell), cell);
  }
  return [...found.values()];
}

/** Cells of this host in a pool of which nothing is taken. */
export function idleCells(state: State, pool: string): Cidr[] {
  const { cells, taken } = state.poolIndex(pool);
  const busy = new Set<Cidr>();
  for (const value of taken.keys()) {
    const at = cells.find((cell) => contains(cell, { family: cell.family, value }));
    if (at) busy.add(at);
  }
  return cells.filter((cell) => !busy.has(cell));
}

/** How many addresses this host could hand out of a pool without asking. */
export function roomIn(state: State, pool: string): number {
  const { cells, taken, cidr: whole } = state.poolIndex(pool);
  let room = 0;
  for (const cell of cells) {
    const { first, last } = hostBounds(whole, cell);
    for (let value = first; value <= last; value++) if (!taken.has(value)) room++;
  }
  return room;
}

export const cellChange = (pool: string, cell: Cidr, owned: boolean): Change => {
  const record: Cell = { pool, cidr: formatCidr(cell) };
  return { table: 'cell', id: cellId(pool, record.cidr), record: owned ? record : null };
};

/**
 * A cell comes into this host's ownership: with what earlier owners gave of it to others, which is not to be handed
 * out (`given`: single address → who has it).
 */
export function ownCell(pool: string, cell: Cidr, given: ReadonlyMap<string, string>): Change[] {
  const leases = [...given].filter(([text]) => covers(cell, cidr(text)));
  return [
    cellChange(pool, cell, true),
    ...leases.map(([text, peer]): Change => {
      const address = formatAddress(cidr(text));
      return { table: 'lease', id: leaseId(pool, address), record: { pool, address, peer } };
    }),
  ];
}

/** Gives one free address of a cell of ours to another host; nothing when it is taken. */
export function giveAddress(state: State, pool: string, addr: Address, peer: string): Change[] {
  const { taken } = state.poolIndex(pool);
  if (taken.has(addr.value)) return [];
  const address = formatAddress(addr);
  return [{ table: 'lease', id: leaseId(pool, address), record: { pool, address, peer } }];
}

/** Any address of ours that is free. */
export function anyFree(state: State, pool: string, within: Cidr): Address | undefined {
  const { cells, taken, cidr: whole } = state.poolIndex(pool);
  for (const cell of cells.filter((each) => overlaps(each, within))) {
    const { first, last } = hostBounds(whole, covers(cell, within) ? within : cell);
    // From its end: what is given away should not make holes where the next one is looked for.
    for (let value = last; value >= first; value--) if (!taken.has(value)) return { family: whole.family, value };
  }
  return undefined;
}
