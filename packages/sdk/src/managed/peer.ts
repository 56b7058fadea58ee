import { join } from 'node:path';
import { readIfThere } from './files.ts';

export const shelfIn = (stateDir: string): string => join(stateDir, 'cluster');
export const recordIn = (stateDir: string): string => join(shelfIn(stateDir), 'cluster.json');

/** Which host this was before its records were lost: it is the same one in its cluster, and what it held there its own. */
export function peerOn(stateDir: string): string | undefined {
  try {
    const { peer } = JSON.parse(readIfThere(recordIn(stateDir)) ?? '{}') as { peer?: unknown };
    return typeof peer === 'string' && /^[0-9a-z]{1,64}$/.test(peer) ? peer : undefined;
  } catch {
    // Whoever needs more of it says so.
    return undefined;
  }
}
