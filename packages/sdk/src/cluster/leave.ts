import { type Change, keys, SELF, type State, type Write } from '@weave/core';
import type { Host } from '../host.ts';
import { type Context, commitAsMember } from './context.ts';
import { clearAfter } from './peers.ts';

/** Takes this host out of its cluster with all that it holds; false where the others could not be told. */
export async function leaveCluster(context: Context): Promise<boolean> {
  if (!context.reachable || context.fence === 0) return false;
  try {
    await withdraw(context);
    return true;
  } catch (error) {
    context.host.log('warn', 'the other hosts could not be told that this one is gone', { error: String(error) });
    return false;
  }
}

/** From then on it does not belong, and nothing is its own. */
export async function withdraw(context: Context): Promise<void> {
  const { self } = context.host.state;
  const writes = [keys.fence(self), keys.peer(self), keys.alive(self)].map((key): Write => ({ key, value: null }));
  await commitAsMember(context, [], writes);
  context.fence = 0;
  await clearAfter(context, self);
}

/** What makes a host alone that others took out of their cluster: what it heard of them, and which addresses were its own. */
export function alone(state: State): Change[] {
  const { cluster: _, incarnation: __, ...self } = state.selves.get(SELF) ?? { peer: state.self };
  const ofOthers = <T extends { peer?: string }>(records: ReadonlyMap<string, T>) =>
    [...records].filter(([, { peer }]) => peer !== undefined && peer !== state.self).map(([id]) => id);
  return [
    ...ofOthers(state.endpoints).map((id): Change => ({ table: 'endpoint', id, record: null })),
    ...ofOthers(state.names).map((id): Change => ({ table: 'name', id, record: null })),
    ...ofOthers(state.leases).map((id): Change => ({ table: 'lease', id, record: null })),
    ...[...state.cells.keys()].map((id): Change => ({ table: 'cell', id, record: null })),
    ...[...state.peers.keys()]
      .filter((id) => id !== state.self)
      .map((id): Change => ({ table: 'peer', id, record: null })),
    { table: 'self', id: SELF, record: self },
  ];
}

/** Goes on in this store. A cluster that nobody else was of ends with the store before: it joins the next one as if alone. */
export function moveTo(store: string, { state, commit }: Pick<Host, 'state' | 'commit'>): void {
  const known = state.selves.get(SELF) ?? { peer: state.self };
  if (known.store === store) return;
  const { cluster: _, incarnation: __, ...alone } = known;
  const before = known.store === undefined || state.peers.size > 1 ? known : alone;
  commit([{ table: 'self', id: SELF, record: { ...before, store } }]);
}
