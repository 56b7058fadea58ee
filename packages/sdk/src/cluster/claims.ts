import { type Change, type Endpoint, type Entry, keys, unpooled, WeaveError, type Write } from '@weave/core';
import { type Context, chunks, commitAsMember, unreachable } from './context.ts';

/** Addresses that no pool has: an engine's own IPAM gave them, or a person. Each is one host's, by a key of its own. */
export function createClaims(context: Context) {
  const { host, directory } = context;
  const { state } = host;
  const held = new Set<string>();
  let releasing: Promise<unknown> = Promise.resolve();

  const keysOf = (e: Pick<Endpoint, 'network' | 'addresses'>) =>
    unpooled(state, e).map((text) => keys.claim(e.network, text));
  const wanted = (): string[] =>
    [...state.endpoints.values()].filter((e) => e.peer === state.self).flatMap((e) => keysOf(e));
  const missing = (): string[] => wanted().filter((key) => !held.has(key));

  async function take(list: readonly string[] = missing()): Promise<void> {
    for (const key of list) {
      if (held.has(key)) continue;
      if (!context.reachable)
        throw unreachable(`${inKey(key).address} may be in use elsewhere: the directory does not answer`);
      const done = await commitAsMember(context, [{ key, revision: 0 }], [{ key, value: state.self }]);
      const { entries } = done === undefined ? await directory.list(key) : { entries: [] };
      const owner = entries.find((entry: Entry) => entry.key === key)?.value ?? state.self;
      if (owner !== state.self) throw inUse(key, owner);
      held.add(key);
    }
  }

  function inUse(key: string, owner: string): WeaveError {
    const { network, address } = inKey(key);
    const on = state.networks.get(network);
    const where = state.peers.get(owner)?.name ?? owner;
    const isEngines = on?.subnets.some((s) => !s.pool);
    const hint = isEngines
      ? 'Create the network with --ipam-driver weave: then no two hosts hand out the same address.'
      : 'Choose another address, or leave the choice to Weave.';
    return new WeaveError(
      'WEAVE_ADDRESS_IN_USE',
      `${address} on network ${on?.name ?? network} is in use on host ${where}`,
      {
        hint,
      },
    );
  }

  /** Gives up those that no endpoint of ours has any more. */
  function release(list: readonly string[]): void {
    const needed = new Set(wanted());
    const going = list.filter((key) => held.has(key) && !needed.has(key));
    if (going.length === 0) return;
    for (const key of going) held.delete(key);
    releasing = releasing.then(async () => {
      for (const part of chunks(going.map((key): Write => ({ key, value: null }))))
        await commitAsMember(context, [], part).catch(() => undefined);
    });
  }

  return {
    missing,
    take,
    /** What these changes need and nobody has claimed yet. */
    needed(changes: readonly Change[]): string[] {
      return changes
        .flatMap((c) => (c.table === 'endpoint' && c.record?.peer === state.self ? keysOf(c.record) : []))
        .filter((key) => !held.has(key));
    },
    note(changes: readonly Change[]): void {
      if (held.size > 0 && changes.some(({ table }) => table === 'endpoint')) release([...held]);
    },
    /** Afterwards the directory has those of our endpoints, and no others of ours. */
    async resync(): Promise<void> {
      const { entries } = await directory.list(keys.allClaims);
      held.clear();
      for (const { key, value } of entries) if (value === state.self) held.add(key);
      release([...held]);
      await take();
    },
  };
}

export type Claims = ReturnType<typeof createClaims>;

function inKey(key: string) {
  const [, , , network = '', address = ''] = key.split('/');
  return { network, address };
}
