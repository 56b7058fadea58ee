import {
  address,
  type Cidr,
  cellOf,
  cellsInUse,
  formatAddress,
  formatCidr,
  keys,
  single,
  usedOfOthers,
} from '@weave/core';
import { type Context, commitAsMember } from './context.ts';
import type { Owned } from './entries.ts';
import { giveUp } from './give-up.ts';
import { ownersOf, recordOwned, releaseCells, withoutMisfits } from './owned.ts';
import { giftNotice } from './wishes.ts';

/** So many, with a condition and a notice each, fit into one transaction. Whoever has more of a cell gives those up. */
const GIVEN = 40;

/** Makes directory and records agree on which cells are this host's, after a gap; what is lost is given up. */
export async function syncCells(context: Context): Promise<void> {
  const { host } = context;
  const { state } = host;
  const inUse = [...state.pools.keys()].filter((id) => state.poolIndex(id).taken.size > 0 && cellsInUse(state, id)[0]);
  const pools = new Set([...inUse, ...[...state.cells.values()].map((cell) => cell.pool)]);
  for (const pool of pools)
    if (state.pools.has(pool)) await host.inTurn(`cells ${pool}`, () => syncPool(context, pool));
  await releaseCells(context);
}

async function syncPool(context: Context, pool: string): Promise<void> {
  const { state } = context.host;
  const listed = await reclaimed(context, pool);
  if (!state.pools.has(pool)) return;
  const owned = await withoutMisfits(context, pool, listed);
  if (!state.pools.has(pool)) return;
  recordOwned(context, pool, owned);
  const lost = usedOfOthers(state, pool, owned);
  if (lost.length === 0) return;
  await giveUp(context, { pool, addresses: new Set(lost.map(formatAddress)) });
  // What was in the way of it is gone.
  if (state.pools.has(pool)) recordOwned(context, pool, owned);
}

/** How often others may do the same at the same time. */
const TRIES = 10;

/** Who owns a pool's cells, once what is nobody's and was this host's is its own again. */
async function reclaimed(context: Context, pool: string): Promise<Owned[]> {
  const { state } = context.host;
  for (let tries = 0; ; tries++) {
    const owned = await ownersOf(context, pool);
    if (!state.pools.has(pool)) return owned;
    const index = state.poolIndex(pool);
    const owners = new Map(owned.map(({ cell, peer }) => [formatCidr(cell), peer]));
    const isNobodys = (cell: Cidr) => ![cell, cellOf(index, cell)].some((each) => owners.has(formatCidr(each)));
    const lost = [...index.cells, ...cellsInUse(state, pool)].filter(isNobodys);
    if (lost.length === 0 || tries === TRIES) return owned;
    // Another host that came back too may have taken what it was given of it: then that is looked at again.
    for (const cell of lost) await takeBack(context, pool, cell, owners);
  }
}

/**
 * A cell that was this host's, when it is nobody's now: it was removed, or the directory lost. What was given of it
 * to others is theirs again at the same moment; one address alone is taken back only while nobody has the cell around.
 */
async function takeBack(
  context: Context,
  pool: string,
  cell: Cidr,
  owners: ReadonlyMap<string, string>,
): Promise<void> {
  const { state } = context.host;
  const index = state.poolIndex(pool);
  const around = formatCidr(cellOf(index, cell));
  const keyOf = (text: string) => keys.cell(pool, text);
  const mine = { key: keyOf(formatCidr(cell)), value: state.self };
  if (around !== formatCidr(cell)) {
    const when = [mine.key, keyOf(around)].map((key) => ({ key, revision: 0 }));
    return void (await commitAsMember(context, when, [mine]));
  }
  const given = [...state.leases.values()]
    .filter(
      (lease) => lease.pool === pool && lease.peer && around === formatCidr(cellOf(index, address(lease.address))),
    )
    .map((lease) => ({ text: formatCidr(single(address(lease.address))), value: lease.peer! }))
    .filter(({ text }) => !owners.has(text))
    .slice(0, GIVEN)
    .map(({ text, value }) => ({ key: keyOf(text), value }));
  const taken = [mine, ...given];
  const notices = [...new Set(given.map(({ value }) => value))].map((peer) => giftNotice(context, peer, pool));
  await commitAsMember(
    context,
    taken.map(({ key }) => ({ key, revision: 0 })),
    [...taken, ...notices],
  );
}
