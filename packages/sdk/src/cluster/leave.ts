import { keys } from '@weave/core';
import type { Context } from './context.ts';
import { clearAfter } from './peers.ts';

/** Takes this host out of its cluster with all that it holds; false where the others could not be told. */
export async function leaveCluster(context: Context): Promise<boolean> {
  const { directory, host, fence, reachable } = context;
  const { self } = host.state;
  if (!reachable || fence === 0) return false;
  const key = keys.peer(self);
  try {
    await directory.commit({
      when: [{ key, revision: fence }],
      writes: [
        { key, value: null },
        { key: keys.alive(self), value: null },
      ],
    });
    await clearAfter(context, self);
    return true;
  } catch (error) {
    host.log('warn', 'the other hosts could not be told that this one is gone', { error: String(error) });
    return false;
  }
}
