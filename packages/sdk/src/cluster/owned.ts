import { cellId, cellsAsOwned, fits, formatCidr, isUsed, keys, type Write } from '@weave/core';
import { type Context, chunks, commitAsMember, listAsMember } from './context.ts';
import { cellIn, type Owned } from './entries.ts';

/*
   What changes a pool's cells in the directory, or takes over what it says of them, does so in turn `cells POOL`: what
   was listed is not old then, as nobody else changes what is this host's.
*/

export async function ownersOf(context: Context, pool: string): Promise<Owned[]> {
  const { entries } = await listAsMember(context, keys.cells(pool));
  return entries.flatMap((entry) => cellIn(entry) ?? []);
}

/** From now on something of this pool may be this host's, of which it has no record: that is looked for after a gap. */
export function expectCells({ host, host: { state } }: Context, pool: string): void {
  const { cells, cidr: whole } = state.poolIndex(pool);
  const record = { pool, cidr: formatCidr(whole), leaving: true } as const;
  if (cells.length === 0) host.commit([{ table: 'cell', id: cellId(pool, record.cidr), record }]);
}

/** The records of this host as the owners of a pool's cells say. */
export function recordOwned(context: Context, pool: string, owned: readonly Owned[]): void {
  context.host.commit(cellsAsOwned(context.host.state, pool, owned));
  if (context.asking.has(pool)) expectCells(context, pool);
}

/** Something of a pool may become this host's from when this begins. */
export async function whileAsking<T>({ asking }: Context, pool: string, work: () => Promise<T>): Promise<T> {
  asking.set(pool, (asking.get(pool) ?? 0) + 1);
  try {
    return await work();
  } finally {
    const left = asking.get(pool)! - 1;
    if (left > 0) asking.set(pool, left);
    else asking.delete(pool);
  }
}

/** Gives back what is left of pools that are gone. */
export async function releaseCells(context: Context): Promise<void> {
  const { cells } = context.host.state;
  const leaving = new Set([...cells.values()].filter((cell) => cell.leaving).map((cell) => cell.pool));
  for (const pool of leaving) await context.host.inTurn(`cells ${pool}`, () => syncOwned(context, pool));
}

/** Takes over what is this host's of a pool, in its turn; of one that is gone it gives that back. */
export async function syncOwned(context: Context, pool: string): Promise<void> {
  const {
    host,
    host: { state },
  } = context;
  const owned = await ownersOf(context, pool);
  if (state.pools.has(pool)) {
    const fitting = await withoutMisfits(context, pool, owned);
    if (state.pools.has(pool)) recordOwned(context, pool, fitting);
    return;
  }
  await giveBack(
    context,
    owned.filter(({ peer }) => peer === state.self),
  );
  if (state.pools.has(pool)) return;
  const records = [...state.cells].filter(([, cell]) => cell.pool === pool);
  host.commit(records.map(([id]) => ({ table: 'cell', id, record: null })));
}

/** Gives back what is this host's of a pool of the same name that is no more: it overlaps what others may take of it. */
export async function withoutMisfits(context: Context, pool: string, owned: readonly Owned[]): Promise<Owned[]> {
  const { state } = context.host;
  const index = state.poolIndex(pool);
  const isMisfit = ({ cell, peer }: Owned) => peer === state.self && !fits(index, cell) && !isUsed(state, pool, cell);
  const misfits = owned.filter(isMisfit);
  // Here first: whether it was given back may not be known in the end.
  if (misfits.length > 0) {
    recordOwned(context, pool, owned);
    expectCells(context, pool);
  }
  await giveBack(context, misfits);
  return owned.filter((each) => !isMisfit(each));
}

async function giveBack(context: Context, owned: readonly Owned[]): Promise<void> {
  const entries = owned.map(({ entry }) => entry);
  for (const part of chunks(entries, 50)) {
    const when = part.map(({ key, revision }) => ({ key, revision }));
    const writes = part.map(({ key }): Write => ({ key, value: null }));
    await commitAsMember(context, when, writes);
  }
}
