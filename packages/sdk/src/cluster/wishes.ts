import {
  type Address,
  address,
  type Cidr,
  cidr,
  type Entry,
  formatAddress,
  formatCidr,
  giftOf,
  holderOf,
  isUsed,
  keys,
  nameInKey,
  narrowest,
  overlaps,
  sizeOf,
  type Write,
} from '@weave/core';
import { inBackground } from '../log.ts';
import { type Context, chunks, commitAsMember, isThere, listAsMember } from './context.ts';
import { type Owned, type Wish, wishIn } from './entries.ts';
import { expectCells, syncOwned } from './owned.ts';

/** How long an owner has to answer: one that is dead or cut off never does. */
const ANSWER_MS = 2000;

export const SILENT = 'nobody knows whom: it does not answer';

interface Wanted {
  pool: string;
  within: Cidr;
  owned: readonly Owned[];
}

/**
 * Asks the owners of the cells that overlap, one after the other, for what is free there. Undefined when one gave
 * something; else what each said.
 */
export async function wish(
  context: Context,
  { pool, within, owned }: Wanted,
): Promise<Map<string, string> | undefined> {
  const { self } = context.host.state;
  const isOne = sizeOf(within) === 1n;
  const around = isOne ? [narrowest(owned, within)].flatMap((o) => o ?? []) : owned;
  const owners = new Set(around.filter((o) => overlaps(o.cell, within) && o.peer !== self).map((o) => o.peer));
  const wanted: Wish = isOne ? { pool, address: formatAddress(within) } : { pool, within: formatCidr(within) };
  const denials = new Map<string, string>();
  for (const owner of owners) {
    const isDead = context.alive.size > 0 && !context.alive.has(owner);
    const denied = isDead ? SILENT : await ask(context, owner, wanted);
    if (denied === undefined) return undefined;
    denials.set(owner, denied);
  }
  return denials;
}

/** Undefined when the wish was granted; else why not. */
async function ask(context: Context, owner: string, wanted: Wish): Promise<string | undefined> {
  const { directory, host, timers } = context;
  const key = keys.wish(owner, host.state.self, wanted.pool);
  const asked = (await commitAsMember(context, [], [{ key, value: JSON.stringify(wanted), leased: true }]))!;
  const answer = await new Promise<string | undefined>((answered) => {
    const end = directory.follow(key, (news) => {
      const entry = isThere(news.entries, key);
      const denied = entry && entry.revision > asked ? wishIn(entry)?.denied : undefined;
      const isGone = news.kind === 'all' ? news.revision >= asked && !entry : news.gone.includes(key);
      if (denied !== undefined || isGone) done(denied);
    });
    const cancel = timers.after(ANSWER_MS, () => done(SILENT));
    function done(said: string | undefined): void {
      end();
      cancel();
      answered(said);
    }
  });
  if (answer !== undefined) await commitAsMember(context, [], [{ key, value: null }]);
  return answer;
}

/**
 * Takes back what was asked before a gap, also by a daemon that was killed: nothing is given to this host afterwards that
 * it does not know of. Whoever waits for it asks again.
 */
export async function withdrawWishes(context: Context): Promise<void> {
  const { entries } = await listAsMember(context, keys.allWishes);
  const isOwn = ({ key }: Entry) => nameInKey(key).startsWith(`${context.host.state.self}.`);
  const own = entries.filter((entry) => isOwn(entry) && !wishIn(entry)?.given);
  for (const part of chunks(own.map(({ key }): Write => ({ key, value: null }))))
    await commitAsMember(context, [], part);
}

/** Answers what other hosts ask of the cells of this one. */
export function answerWishes(context: Context): () => void {
  const { directory, host } = context;
  return directory.follow(keys.wishes(host.state.self), ({ entries }) => {
    for (const entry of entries)
      void inBackground(host.log, 'a wish could not be answered', () => answer(context, entry));
  });
}

async function answer(context: Context, entry: Entry): Promise<void> {
  const wanted = wishIn(entry);
  if (!wanted || wanted.denied !== undefined) return;
  const work = wanted.given ? () => accept(context, entry, wanted) : () => give(context, entry, wanted);
  await context.host.inTurn(`cells ${wanted.pool}`, work);
}

/** Tells a host that something of a pool is its own: it did not ask, or gave up asking. */
export const giftNotice = ({ host }: Context, peer: string, pool: string): Write => ({
  key: keys.wish(peer, host.state.self, pool),
  value: JSON.stringify({ pool, given: true } satisfies Wish),
  leased: true,
});

async function accept(context: Context, { key, revision }: Entry, { pool }: Wish): Promise<void> {
  // Should that fail, it is looked for after the gap.
  if (context.host.state.pools.has(pool)) expectCells(context, pool);
  await syncOwned(context, pool);
  await commitAsMember(context, [{ key, revision }], [{ key, value: null }]);
}

/** Given up here before the directory says so: nothing is handed out of it any more. */
async function give(context: Context, entry: Entry, wanted: Wish): Promise<void> {
  const {
    host,
    host: { state, datapath },
  } = context;
  const { pool } = wanted;
  if (!state.pools.has(pool)) return deny(context, entry, wanted, 'nobody');
  const addr = wanted.address === undefined ? undefined : address(wanted.address);
  const within = wanted.within === undefined ? undefined : cidr(wanted.within);
  const peer = entry.key.split('/').at(-1)!.split('.')[0]!;
  const gift = giftOf(state, pool, { peer, address: addr, within });
  if (!gift) return deny(context, entry, wanted, addr ? holder(context, pool, addr) : 'its containers, all of it');
  const undo = state.inverse(gift.changes);
  host.commit(gift.changes);
  // Should it not be known in the end whether it was given.
  expectCells(context, pool);
  // What had it a moment ago is out of the kernel then, or back in the records as the kernel refused.
  await datapath.apply([[]]);
  if (!state.pools.has(pool)) return;
  const isBack = isUsed(state, pool, gift.cell);
  const writes = [
    { key: keys.cell(pool, formatCidr(gift.cell)), value: peer },
    { key: entry.key, value: null },
  ];
  const when = [{ key: entry.key, revision: entry.revision }];
  if (!isBack && (await commitAsMember(context, when, writes)) !== undefined) return;
  if (state.pools.has(pool)) host.commit(undo);
}

/** Leased by this host, and taken back in the end: who asked looks at it soon, or never. */
async function deny(context: Context, { key, revision }: Entry, wanted: Wish, denied: string): Promise<void> {
  const value = JSON.stringify({ ...wanted, denied: denied.slice(0, 500) });
  const done = await commitAsMember(context, [{ key, revision }], [{ key, value, leased: true }]);
  // Who asked may have died.
  const forget = () => commitAsMember(context, [{ key, revision: done! }], [{ key, value: null }]);
  if (done !== undefined)
    context.timers.after(
      2 * ANSWER_MS,
      () => void inBackground(context.host.log, 'a wish could not be cleared', forget),
    );
}

function holder({ host: { state } }: Context, pool: string, addr: Address): string {
  const id = state.poolIndex(pool).taken.get(addr.value);
  const network = state.networkOfPool(pool);
  const owner = id || (network && state.addressOwner(network.id, formatAddress(addr)));
  if (owner && state.endpoints.has(owner)) return holderOf(state, owner);
  return id === undefined ? 'another host' : 'the engine';
}
