import { keys, type Peer } from '@weave/core';
import { inBackground } from '../log.ts';
import type { Context } from './context.ts';
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
  /** Host → since when it has been silent, or has had no record while something was its own. */
  const silent = new Map<string, number>();

  const isFirst = () => [...alive].every((id) => id >= state.self) && alive.has(state.self);

  async function look(): Promise<void> {
    // What was not heard while the directory did not answer says nothing.
    if (context.fence === 0 || timers.now() < context.settlesAt) return silent.clear();
    const quiet = [...state.peers.keys()].filter((id) => id !== state.self && !alive.has(id));
    const left = isFirst() ? await withoutRecord(new Set(state.peers.keys())) : [];
    const now = new Map([...quiet, ...left].map((id) => [id, silent.get(id) ?? timers.now()]));
    silent.clear();
    for (const [id, since] of now) silent.set(id, since);
    const due = isFirst() ? [...silent].filter(([, since]) => timers.now() - since >= afterMs) : [];
    for (const [id] of due) await take(id, state.peers.get(id));
  }

  async function take(id: string, peer: Peer | undefined): Promise<void> {
    if (peer) await removePeer(context, peer);
    else await clearAfter(context, id);
    silent.delete(id);
    log('warn', 'a host that was silent for long does not belong to the cluster any more', { host: peer?.name ?? id });
  }

  /** Hosts that own something and do not belong. */
  async function withoutRecord(known: ReadonlySet<string>): Promise<string[]> {
    const owners = new Set<string>();
    for (const prefix of [keys.allCells, keys.allClaims])
      for (const { value } of (await directory.list(prefix)).entries) owners.add(value);
    for (const { key } of (await directory.list(keys.allPresences)).entries) owners.add(key.split('/')[3]!);
    return [...owners].filter((id) => !known.has(id));
  }

  return every(afterMs / LOOKS, timers, () => inBackground(log, 'silent hosts could not be looked for', look));
}
