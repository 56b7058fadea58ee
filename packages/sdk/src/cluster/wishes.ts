import {
  type Address,
  address,
  anyFree,
  type Cidr,
  cellChange,
  cidr,
  contains,
  type Entry,
  formatAddress,
  formatCidr,
  giveAddress,
  holderOf,
  idleCells,
  keys,
  overlaps,
  single,
  sizeOf,
} from '@weave/core';
import type { Owned } from './blocks.ts';
import { type Context, commitAsMember } from './context.ts';
import { type Wish, wishIn } from './entries.ts';

/** How long an owner has to answer: one that is dead or cut off never does. */
const ANSWER_MS = 2000;

let count = 0;

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
  const owners = [...new Set(owned.filter((o) => overlaps(o.cell, within) && o.peer !== self).map((o) => o.peer))];
  const isOne = sizeOf(within) === 1n;
  const holders = isOne ? [narrowest(owned, within)].flatMap((o) => (o && o.peer !== self ? o.peer : [])) : owners;
  const wanted: Wish = isOne ? { pool, address: formatAddress(within) } : { pool, within: formatCidr(within) };
  const denials = new Map<string, string>();
  for (const owner of holders) {
    const denied = await ask(context, owner, wanted);
    if (denied === undefined) return undefined;
    denials.set(owner, denied);
  }
  return denials;
}

/** Who holds an address: the owner of that alone, else of the cell around it. */
const narrowest = (owned: readonly Owned[], addr: Address): Owned | undefined =>
  owned.filter(({ cell }) => contains(cell, addr)).sort((a, b) => b.cell.length - a.cell.length)[0];

/** Undefined when the wish was granted; else why not. */
async function ask(context: Context, owner: string, wanted: Wish): Promise<string | undefined> {
  const { directory, host, timers } = context;
  const key = keys.wish(owner, `${host.state.self}.${++count}`);
  const asked = await commitAsMember(context, [], [{ key, value: JSON.stringify(wanted) }]);
  if (asked === undefined) return 'nobody: this host was removed from the cluster';
  const answer = await new Promise<string | undefined | 'silent'>((answered) => {
    const end = directory.follow(key, (news) => {
      const entry = news.entries.find((each) => each.key === key);
      const denied = entry && wishIn(entry)?.denied;
      const isGone = news.kind === 'all' ? news.revision >= asked && !entry : news.gone.includes(key);
      if (denied !== undefined || isGone) done(denied);
    });
    const cancel = timers.after(ANSWER_MS, () => done('silent'));
    function done(said: string | undefined): void {
      end();
      cancel();
      answered(said);
    }
  });
  if (answer === undefined) return undefined;
  await commitAsMember(context, [], [{ key, value: null }]);
  return answer === 'silent' ? 'a host that does not answer' : answer;
}

/** Answers what other hosts ask of the cells of this one. */
export function answerWishes(context: Context): () => void {
  const { directory, host } = context;
  let last: Promise<unknown> = Promise.resolve();
  return directory.follow(keys.wishes(host.state.self), ({ entries }) => {
    for (const entry of entries)
      last = last.then(() =>
        answer(context, entry).catch((error: unknown) =>
          host.log('debug', 'a wish could not be answered', { error: String(error) }),
        ),
      );
  });
}

async function answer(context: Context, entry: Entry): Promise<void> {
  const wanted = wishIn(entry);
  if (!wanted || wanted.denied !== undefined) return;
  const peer = entry.key.split('/').at(-1)!.split('.')[0]!;
  const { state } = context.host;
  if (!state.pools.has(wanted.pool)) return deny(context, entry, wanted, 'nobody');
  const idle = wanted.within
    ? idleCells(state, wanted.pool).findLast((c) => overlaps(c, cidr(wanted.within!)))
    : undefined;
  if (idle) return giveCell(context, entry, { pool: wanted.pool, cell: idle, peer });
  const addr = wanted.address
    ? address(wanted.address)
    : anyFree(state, wanted.pool, cidr(wanted.within ?? '0.0.0.0/0'));
  if (!addr) return deny(context, entry, wanted, 'its containers, all of it');
  const cell = state.poolIndex(wanted.pool).cells.find((each) => contains(each, addr));
  const given = cell ? giveAddress(state, wanted.pool, addr, peer) : [];
  if (given.length === 0) return deny(context, entry, wanted, holder(context, wanted.pool, addr));
  context.host.commit(given);
  const writes = [
    { key: keys.cell(wanted.pool, formatCidr(single(addr))), value: peer },
    { key: entry.key, value: null },
  ];
  const done = await commitAsMember(context, [{ key: entry.key, revision: entry.revision }], writes);
  if (done === undefined) context.host.commit(given.map((change) => ({ ...change, record: null }) as typeof change));
}

interface Gift {
  pool: string;
  cell: Cidr;
  peer: string;
}

/** Given up here before the directory says so: nothing is handed out of it any more. */
async function giveCell(context: Context, entry: Entry, { pool, cell, peer }: Gift): Promise<void> {
  context.host.commit([cellChange(pool, cell, false)]);
  const when = [{ key: entry.key, revision: entry.revision }];
  const writes = [
    { key: keys.cell(pool, formatCidr(cell)), value: peer },
    { key: entry.key, value: null },
  ];
  if ((await commitAsMember(context, when, writes)) === undefined) context.host.commit([cellChange(pool, cell, true)]);
}

async function deny(context: Context, { key, revision }: Entry, wanted: Wish, denied: string): Promise<void> {
  const value = JSON.stringify({ ...wanted, denied: denied.slice(0, 500) });
  await commitAsMember(context, [{ key, revision }], [{ key, value }]);
}

function holder({ host: { state } }: Context, pool: string, addr: Address): string {
  const id = state.poolIndex(pool).taken.get(addr.value);
  const network = state.networkOfPool(pool);
  const owner = id || (network && state.addressOwner(network.id, formatAddress(addr)));
  if (owner && state.endpoints.has(owner)) return holderOf(state, owner);
  return id === undefined ? 'another host' : 'the engine';
}
