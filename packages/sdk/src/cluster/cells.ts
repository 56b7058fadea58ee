import {
  address,
  type Cidr,
  cellOf,
  cellsAsOwned,
  cellsInUse,
  formatAddress,
  formatCidr,
  keys,
  single,
  usedOfOthers,
} from '@weave/core';
import { type Context, commitAsMember } from './context.ts';
import { giveUp } from './give-up.ts';
import { ownersOf, releaseCells } from './owned.ts';

/** So many with their conditions fit into one transaction. Whoever has more of a cell gives those up. */
const GIVEN = 50;

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
  const {
    host,
    host: { state },
  } = context;
  let owned = await ownersOf(context, pool);
  if (!state.pools.has(pool)) return;
  const owners = new Map(owned.map(({ cell, peer }) => [formatCidr(cell), peer]));
  const wanted = [...state.poolIndex(pool).cells, ...cellsInUse(state, pool)].filter((c) => !owners.has(formatCidr(c)));
  for (const cell of wanted) await takeBack(context, pool, cell, owners);
  if (wanted.length > 0) owned = await ownersOf(context, pool);
  if (!state.pools.has(pool)) return;
  host.commit(cellsAsOwned(state, pool, owned));
  const lost = usedOfOthers(state, pool, owned);
  if (lost.length === 0) return;
  await giveUp(context, { pool, addresses: new Set(lost.map(formatAddress)) });
  // What was in the way of it is gone.
  if (state.pools.has(pool)) host.commit(cellsAsOwned(state, pool, owned));
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
  const writes = [mine, ...given];
  await commitAsMember(
    context,
    writes.map(({ key }) => ({ key, revision: 0 })),
    writes,
  );
}
