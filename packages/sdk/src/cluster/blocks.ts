import {
  anyFree,
  type CellNeeded,
  type Cidr,
  cellOf,
  cidr,
  contains,
  covers,
  fail,
  fits,
  formatAddress,
  formatCidr,
  freeCell,
  keys,
  overlaps,
  ownsAddress,
  sizeOf,
  WeaveError,
} from '@weave/core';
import { type Context, commitAsMember, settled, unreachable } from './context.ts';
import type { Owned } from './entries.ts';
import { expectCells, ownersOf, recordOwned, syncOwned, whileAsking, withoutMisfits } from './owned.ts';
import { wish } from './wishes.ts';

/** How often somebody else may be faster. */
const TRIES = 50;

/** Makes room for what a verb needs, or throws why there is none: who holds it. */
export async function acquire(context: Context, needed: CellNeeded): Promise<void> {
  const { host } = context;
  const { pool, within } = needed;
  await settled(context);
  const room = () => host.inTurn(`cells ${pool}`, () => makeRoom(context, needed));
  for (let tries = 0; tries < TRIES; tries++) {
    const owned = await room();
    if (!owned) return;
    expectCells(context, pool);
    const denials = await whileAsking(context, pool, () => wish(context, { pool, within, owned }));
    // What was given too late is here all the same.
    if (denials && (await room())) throw exhausted(context, needed, owned, denials);
  }
  throw unreachable(`${needed.message}: other hosts were faster, again and again`);
}

/** Takes a cell that is nobody's. Answers who owns them where there is none. */
async function makeRoom(context: Context, needed: CellNeeded): Promise<Owned[] | undefined> {
  const { pool, within } = needed;
  const { state } = context.host;
  for (let tries = 0; tries < TRIES; tries++) {
    if (hasRoom(context, needed)) return undefined;
    if (!context.reachable || context.fence === 0)
      throw unreachable(`${needed.message}: more would have to be asked for, and the directory does not answer`);
    const owned = await ownersOf(context, pool);
    if (!state.pools.has(pool)) {
      // What was taken of it just now, or given.
      await syncOwned(context, pool);
      fail('WEAVE_POOL_NOT_FOUND', `there is no address pool ${pool}`);
    }
    const fitting = await withoutMisfits(context, pool, owned);
    if (!state.pools.has(pool)) continue;
    recordOwned(context, pool, fitting);
    if (hasRoom(context, needed)) return undefined;
    const find = sizeOf(within) === 1n ? freeAround : freeInside;
    const free = find(context, needed, fitting, tries);
    if (!free) return fitting;
    await take(context, pool, free);
  }
  throw unreachable(`${needed.message}: other hosts were faster, again and again`);
}

function hasRoom({ host: { state } }: Context, { pool, within, except }: CellNeeded): boolean {
  if (!state.pools.has(pool)) return false;
  if (sizeOf(within) === 1n) return ownsAddress(state.poolIndex(pool), within);
  return anyFree(state, pool, within, except) !== undefined;
}

/** The cell around one address, when nobody owns it. */
function freeAround({ host }: Context, { pool, within }: CellNeeded, owned: readonly Owned[]): Cidr | undefined {
  const index = host.state.poolIndex(pool);
  const cell = cellOf(index, within);
  const isBusy = (o: Owned) =>
    contains(o.cell, within) ||
    formatCidr(o.cell) === formatCidr(cell) ||
    (!fits(index, o.cell) && overlaps(o.cell, cell));
  return owned.some(isBusy) ? undefined : cell;
}

/** The lowest; after each time that somebody was faster, one that others do not go for as well. */
function freeInside(
  context: Context,
  { pool, within }: Pick<CellNeeded, 'pool' | 'within'>,
  owned: readonly Owned[],
  tries: number,
): Cidr | undefined {
  const { state } = context.host;
  const index = state.poolIndex(pool);
  const busy = new Set(owned.map(({ cell }) => formatCidr(cell)));
  // Whoever is there may not have come yet to a directory that was made anew.
  const others = context.settlesAt > 0 ? addressesElsewhere(context, pool) : [];
  for (const text of others) busy.add(formatCidr(cellOf(index, cidr(text))));
  const spread = tries === 0 ? 0 : Number.parseInt(state.self.slice(0, 6), 16) % 4 ** Math.min(tries, 6);
  const misfits = owned.map(({ cell }) => cell).filter((cell) => !fits(index, cell));
  return freeCell(index, within, busy, { skip: spread, misfits });
}

const addressesElsewhere = ({ host: { state } }: Context, pool: string): string[] =>
  state
    .endpointsOf(state.networkOfPool(pool)?.id ?? '')
    .filter(({ peer }) => peer !== state.self)
    .flatMap(({ addresses }) => addresses.filter((text) => contains(state.poolIndex(pool).cidr, cidr(text))));

/** Somebody may be faster; whoever asks looks again, also at what earlier owners gave away of it. */
async function take(context: Context, pool: string, cell: Cidr): Promise<void> {
  expectCells(context, pool);
  const key = keys.cell(pool, formatCidr(cell));
  await commitAsMember(context, [{ key, revision: 0 }], [{ key, value: context.host.state.self }]);
}

/** Takes another cell of a pool where there is one that nobody owns. */
export async function takeAnother(context: Context, pool: string): Promise<void> {
  const {
    host,
    host: { state },
  } = context;
  await settled(context);
  await host.inTurn(`cells ${pool}`, async () => {
    const owned = await ownersOf(context, pool);
    if (!state.pools.has(pool)) return;
    const { range, cidr: whole } = state.pools.get(pool)!;
    const free = freeInside(context, { pool, within: cidr(range ?? whole) }, owned, 0);
    if (!free) return;
    await take(context, pool, free);
    await syncOwned(context, pool);
  });
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
