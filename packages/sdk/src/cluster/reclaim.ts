import { keys, type Peer } from '@weave/core';
import { inBackground } from '../log.ts';
import { type Context, commitAsMember, isThere, listAsMember } from './context.ts';
import { clearAfter, removePeer } from './peers.ts';
import { every } from './timers.ts';

/** So often within the time that a host has to be silent. */
const LOOKS = 8;

/**
 * Takes hosts that have been silent for long out of the cluster, and clears what one that was taken out left. Of all
 * hosts the living one with the lowest id does it; each has seen for itself for how long.
 */
export function reclaim(context: Context, afterMs: number): () => void {
  const { host, directory, timers, alive } = context;
  const { state, log } = host;
  /** Host, or key, → since when it has been silent, or there for nobody. */
  const silent = new Map<string, number>();

  const isFirst = () => [...alive].every((id) => id >= state.self) && alive.has(state.self);

  async function look(): Promise<void> {
    // What was not heard while the directory did not answer says nothing.
    if (context.fence === 0 || timers.now() < context.settlesAt) return silent.clear();
    const quiet = [...state.peers.keys()].filter((id) => id !== state.self && !alive.has(id));
    const left = isFirst() ? await leftovers() : [];
    const now = new Map([...quiet, ...left].map((id) => [id, silent.get(id) ?? timers.now()]));
    silent.clear();
    for (const [id, since] of now) silent.set(id, since);
    const due = isFirst() ? [...silent].filter(([, since]) => timers.now() - since >= afterMs) : [];
    for (const [id] of due) await take(id, state.peers.get(id));
  }

  async function take(id: string, peer: Peer | undefined): Promise<void> {
    silent.delete(id);
    if (peer) await removePeer(context, peer);
    else if (id.startsWith(keys.allCells)) return clearCell(id);
    else await clearAfter(context, id);
    log('warn', 'a host that was silent for long does not belong to the cluster any more', { host: peer?.name ?? id });
  }

  async function clearCell(key: string): Promise<void> {
    const entry = isThere((await directory.list(key)).entries, key);
    if (entry) await commitAsMember(context, [{ key, revision: entry.revision }], [{ key, value: null }]);
  }

  /** Hosts that own something and do not belong, and cells of pools that are no more. */
  async function leftovers(): Promise<string[]> {
    const cells = (await listAsMember(context, keys.allCells)).entries;
    const claims = (await directory.list(keys.allClaims)).entries;
    const on = (await directory.list(keys.allPresences)).entries;
    const owners = new Set([...cells, ...claims].map(({ value }) => value));
    for (const { key } of on) owners.add(key.split('/')[3]!);
    const pools = new Set([...state.pools.keys()].map(keys.cells));
    const loose = cells.map(({ key }) => key).filter((key) => !pools.has(key.slice(0, key.lastIndexOf('/') + 1)));
    return [...loose, ...[...owners].filter((id) => !state.peers.has(id))];
  }

  return every(afterMs / LOOKS, timers, () => inBackground(log, 'silent hosts could not be looked for', look));
}
