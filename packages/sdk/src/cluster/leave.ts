import { keys, SELF, type Write } from '@weave/core';
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

/** Of a cluster that nobody else was of: it joins the next one as a host that is alone. */
export function belongToNone({ state, commit }: Host): void {
  const known = state.selves.get(SELF);
  if (!known?.cluster) return;
  const { cluster: _, incarnation: __, ...self } = known;
  commit([{ table: 'self', id: SELF, record: self }]);
}
