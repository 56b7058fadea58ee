import { type Condition, keys, type Network, nameInKey, type Pool } from '@weave/core';
import { type Context, chunks, commitAsMember, isThere } from './context.ts';
import { definitionsIn } from './definitions.ts';

/** Keys of what is defined, as this host told it. */
export async function definedBy({ directory, host: { state } }: Context): Promise<ReadonlySet<string>> {
  const { networks, pools } = definitionsIn((await directory.list(keys.definitions)).entries);
  const isOwn = ({ origin }: Network | Pool) => origin === state.self;
  return new Set([
    ...networks.filter(isOwn).map(({ id }) => keys.network(id)),
    ...pools.filter(isOwn).map(({ id }) => keys.pool(id)),
  ]);
}

/** Takes back what this host told since, where nobody uses it yet. */
export async function undefine(context: Context, before: ReadonlySet<string>): Promise<void> {
  const told = [...(await definedBy(context))].filter((key) => !before.has(key));
  for (const part of chunks(told, 50)) {
    const guard = isThere((await context.directory.list(keys.guard)).entries, keys.guard);
    const networks = part.filter((key) => key.startsWith(keys.network('')));
    const when: Condition[] = [
      { key: keys.guard, revision: guard?.revision ?? 0 },
      ...networks.map((key) => ({ none: keys.endpoints(nameInKey(key)) })),
    ];
    const writes = [{ key: keys.guard, value: context.host.state.self }, ...part.map((key) => ({ key, value: null }))];
    await commitAsMember(context, when, writes);
  }
}
