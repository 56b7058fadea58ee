import { setTimeout as delay } from 'node:timers/promises';
import { fail, isWeaveError, type WeaveError } from '@weave/core';
import type { Cluster } from '../cluster/cluster.ts';
import { clusterThere } from '../cluster/join.ts';
import type { Company } from '../company.ts';

/** How long a store that was begun anew is waited for: its etcd has to start, and this host to turn to it. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 100;

/**
 * Makes what is shared anew: the store that hosts run themselves, where that is lost, and the directory in it. Of a
 * rebuild that ended in between the store is left, which answers and is empty: then the directory alone.
 */
export async function rebuild(company: Company): Promise<void> {
  if (!company.sharing?.managed) return joined(company).rebuild();
  const answers = await company.sharing.managed.rebuild().then(() => undefined, ifItAnswers);
  await onceReached(company, async (cluster) => {
    if (answers && (await clusterThere(cluster.context))) throw answers;
    await cluster.rebuild();
  });
}

export const joined = ({ cluster }: Company): Cluster => cluster ?? fail('WEAVE_NOT_CLUSTERED', 'this host is alone');

function ifItAnswers(error: unknown): WeaveError {
  if (isWeaveError(error) && error.code === 'WEAVE_INVALID_REQUEST') return error;
  throw error;
}

/** Another cluster takes the place of this one as soon as it is known where the store is now. */
async function onceReached(company: Company, work: (cluster: Cluster) => Promise<void>): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; ; await delay(LOOK_MS))
    try {
      return await work(joined(company));
    } catch (error) {
      const mayPass = isWeaveError(error) && error.code === 'WEAVE_DIRECTORY_UNREACHABLE';
      if (!mayPass || performance.now() > end) throw error;
    }
}
