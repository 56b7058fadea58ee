import { type Change, type Endpoint, keys, unpooled, WeaveError, type Write } from '@weave/core';
import { inBackground } from '../log.ts';
import { type Context, chunks, commitAsMember, inStep, isThere, settled, unreachable } from './context.ts';
import type { Definitions } from './definitions.ts';
import { giveUp } from './give-up.ts';

/** A decision that was made possible by a claim is carried out within this time, or never. */
const UNUSED_MS = 10_000;

/** Addresses that no pool has: an engine's own IPAM gave them, or a person. Each is one host's, by a key of its own. */
export function createClaims(context: Context, definitions: Pick<Definitions, 'asKnown'>) {
  const { host, directory, timers } = context;
  const { state, log } = host;
  const held = new Set<string>();
  /** By own endpoint. */
  const used = new Map<string, string[]>();

  const keysOf = (e: Pick<Endpoint, 'network' | 'addresses'>) =>
    unpooled(state, e).map((text) => keys.claim(e.network, text));
  const isOwn = (e: Endpoint | null): e is Endpoint => e?.peer === state.self;
  const wanted = (): string[] => [...state.endpoints.values()].filter(isOwn).flatMap(keysOf);
  const missing = (): string[] => wanted().filter((key) => !held.has(key));
  /** One after the other: what is given up and taken again is taken in the end. */
  const inTurn = <T>(work: () => Promise<T>) => host.inTurn('claims', work);

  /** Answers those that are another host's, and whose. */
  async function tryAll(list: readonly string[]): Promise<Map<string, string>> {
    const lost = new Map<string, string>();
    for (const key of list) {
      if (held.has(key)) continue;
      if (!context.reachable)
        throw unreachable(`${inKey(key).address} may be in use elsewhere: the directory does not answer`);
      const owner = await tryOne(key);
      if (owner === state.self) held.add(key);
      else if (owner !== undefined) lost.set(key, owner);
    }
    return lost;
  }

  /** Whose it is then. Undefined: nobody's, as it is of a subnet that has grown, and who asked decides anew. */
  async function tryOne(key: string): Promise<string | undefined> {
    const { network, address } = inKey(key);
    for (;;) {
      const revision = await definitions.asKnown(network);
      if (unpooled(state, { network, addresses: [`${address}/${address.includes(':') ? 128 : 32}`] }).length === 0)
        return undefined;
      const when = [
        { key, revision: 0 },
        { key: keys.network(network), revision },
      ];
      const writes = [
        { key, value: state.self },
        { key: keys.claimed(network), value: state.self },
      ];
      if ((await commitAsMember(context, when, writes)) !== undefined) return state.self;
      const owner = isThere((await directory.list(key)).entries, key)?.value;
      if (owner !== undefined) return owner;
      // Given up just now, or its network was changed.
    }
  }

  async function take(list: readonly string[] = missing()): Promise<void> {
    await settled(context);
    await inStep(context);
    const [first] = await inTurn(() => tryAll(list));
    timers.after(UNUSED_MS, () => release(list));
    if (first) throw inUse(...first);
  }

  function inUse(key: string, owner: string): WeaveError {
    const { network, address } = inKey(key);
    const on = state.networks.get(network);
    const where = state.peers.get(owner)?.name ?? owner;
    const isEngines = on?.subnets.some((s) => !s.pool);
    const hint = isEngines
      ? 'Create the network with --ipam-driver weave: then no two hosts hand out the same address.'
      : 'Choose another address, or leave the choice to Weave.';
    const message = `${address} on network ${on?.name ?? network} is in use on host ${where}`;
    return new WeaveError('WEAVE_ADDRESS_IN_USE', message, { hint });
  }

  /** Gives up those that no endpoint of ours has any more. */
  function release(list: readonly string[]): void {
    if (list.length === 0) return;
    const work = async () => {
      // What had it a moment ago is out of the kernel then.
      await host.datapath.apply([[]]);
      const needed = new Set([...used.values(), ...[...context.recalled.endpoints.values()].map(keysOf)].flat());
      const going = list.filter((key) => held.has(key) && !needed.has(key));
      for (const key of going) held.delete(key);
      for (const part of chunks(going.map((key): Write => ({ key, value: null }))))
        await commitAsMember(context, [], part);
    };
    // Otherwise with the next agreement.
    if (context.fence > 0) void inBackground(log, 'claims could not be given up', () => inTurn(work));
  }

  function note(changes: readonly Change[]): void {
    for (const { table, id, record } of changes) {
      if (table !== 'endpoint') continue;
      const before = used.get(id) ?? [];
      const after = isOwn(record) ? keysOf(record) : [];
      if (after.length > 0) used.set(id, after);
      else used.delete(id);
      release(before.filter((key) => !after.includes(key)));
    }
  }

  return {
    missing,
    take,
    /** Throws whose an address is that is in use here. */
    async mustBeNobodys(): Promise<void> {
      const used = new Set(wanted());
      if (used.size === 0) return;
      const { entries } = await directory.list(keys.allClaims);
      const other = entries.find(({ key, value }) => used.has(key) && value !== state.self);
      if (other) throw inUse(other.key, other.value);
    },
    /** What these changes need and nobody has claimed yet. */
    needed: (changes: readonly Change[]): string[] =>
      changes
        .flatMap((c) => (c.table === 'endpoint' && isOwn(c.record) ? keysOf(c.record) : []))
        .filter((key) => !held.has(key)),
    note,
    /** Afterwards the directory has those of our endpoints, and no others of ours. */
    async resync(): Promise<void> {
      for (const e of state.endpoints.values()) if (isOwn(e)) note([{ table: 'endpoint', id: e.id, record: e }]);
      const lost = await inTurn(async () => {
        const { entries } = await directory.list(keys.allClaims);
        held.clear();
        for (const { key, value } of entries) if (value === state.self) held.add(key);
        return tryAll(missing());
      });
      for (const key of lost.keys()) {
        const { network, address } = inKey(key);
        await giveUp(context, { network, addresses: new Set([address]) });
      }
      release([...held]);
    },
  };
}

export type Claims = ReturnType<typeof createClaims>;

function inKey(key: string) {
  const [, , , network = '', address = ''] = key.split('/');
  return { network, address };
}
