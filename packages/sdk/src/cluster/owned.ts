import { type Cidr, cellsAsOwned, cidr, cidrInKey, type Entry, keys, type Write } from '@weave/core';
import { type Context, chunks, commitAsMember, listAsMember } from './context.ts';

/*
   What changes a pool's cells in the directory, or takes over what it says of them, does so in turn `cells POOL`: what
   was listed is not old then, as nobody else changes what is this host's.
*/

/** Who owns a cell, as the directory has it. */
export interface Owned {
  cell: Cidr;
  peer: string;
  entry: Entry;
}

export async function ownersOf(context: Context, pool: string): Promise<Owned[]> {
  const { entries } = await listAsMember(context, keys.cells(pool));
  return entries.map((entry) => ({ cell: cidr(cidrInKey(entry.key)), peer: entry.value, entry }));
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
  if (state.pools.has(pool)) return host.commit(cellsAsOwned(state, pool, owned));
  for (const part of chunks(
    owned.filter(({ peer }) => peer === state.self),
    50,
  )) {
    const when = part.map(({ entry: { key, revision } }) => ({ key, revision }));
    const writes = part.map(({ entry: { key } }): Write => ({ key, value: null }));
    await commitAsMember(context, when, writes);
  }
  if (state.pools.has(pool)) return;
  const records = [...state.cells].filter(([, cell]) => cell.pool === pool);
  host.commit(records.map(([id]) => ({ table: 'cell', id, record: null })));
}
