import {
  type Cidr,
  cellsAsOwned,
  cellsInUse,
  cidr,
  contains,
  fail,
  formatAddress,
  formatCidr,
  keys,
  overlaps,
  type State,
  single,
  usedOfOthers,
} from '@weave/core';
import { type Context, commitAsMember } from './context.ts';
import { type Owned, peerIn } from './entries.ts';
import { ownersOf } from './owned.ts';

/* Addresses that a host which joins has in use: they become its own there, or it is not let in. */

/** Cells that what is taken here is in, and that are not ours. */
export const outside = (state: State) =>
  [...state.pools.keys()].flatMap((pool) => cellsInUse(state, pool).map((cell) => ({ pool, cell })));

export async function takeCells(context: Context): Promise<void> {
  const {
    host,
    host: { state },
  } = context;
  for (const { pool, cell } of outside(state)) {
    const key = keys.cell(pool, formatCidr(cell));
    await commitAsMember(context, [{ key, revision: 0 }], [{ key, value: state.self }]);
    const owned = await ownersOf(context, pool);
    await mustBeOurs(context, pool, owned);
    host.commit(cellsAsOwned(state, pool, owned));
  }
}

/** Refuses a join that would fail later, before anything is told. */
export async function mustBeNobodys(context: Context): Promise<void> {
  const { state } = context.host;
  const inUse = [...state.pools.keys()].filter((pool) => cellsInUse(state, pool).length > 0);
  for (const pool of inUse) await mustBeOurs(context, pool, await ownersOf(context, pool));
}

async function mustBeOurs(context: Context, pool: string, owned: readonly Owned[]): Promise<void> {
  const { state } = context.host;
  const used = usedOfOthers(state, pool, owned);
  const of = owned.find(({ cell, peer }) => peer !== state.self && used.some((addr) => contains(cell, addr)));
  if (of)
    fail(
      'WEAVE_JOIN_REFUSED',
      `this host and host ${await nameOf(context, of.peer)} both use addresses of ${formatCidr(of.cell)}: here ${usersOf(state, pool, of.cell)}`,
    );
}

async function nameOf({ directory }: Context, peer: string): Promise<string> {
  const { entries } = await directory.list(keys.peer(peer));
  return entries.flatMap((entry) => peerIn(entry)?.name ?? [])[0] ?? peer;
}

function usersOf(state: State, pool: string, cell: Cidr): string {
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
