import { type Condition, keys, nameInKey } from '@weave/core';
import { type Context, chunks, commitAsMember, isThere } from './context.ts';

/** Takes definitions back that this host told, by their keys, where nobody uses them yet. */
export async function undefine(context: Context, told: readonly string[]): Promise<void> {
  for (const part of chunks([...new Set(told)], 50)) {
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
