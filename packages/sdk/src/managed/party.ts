import type { Side, Standing } from './decide.ts';
import type { Life } from './life.ts';
import { type Party, withoutPassword } from './meeting.ts';
import { keysOf } from './proof.ts';
import type { Shelf } from './record.ts';

export interface PartyOptions {
  readonly peer: { readonly id: string; readonly name: string };
  readonly able: boolean;
  readonly busy: () => boolean;
  readonly password?: string | undefined;
  readonly shelf: Shelf;
  readonly life: Life;
  /** Whether those that this host shall connect to were heard. */
  heard(): boolean;
}

/** A lone host that was not met for so long may have gone. */
const NEIGHBOUR_MS = 8000;
const HOSTS_TOLD = 16;

/** This host as others meet it. */
export function createParty({ peer, able, busy, password, shelf, life, heard }: PartyOptions): Party {
  const { record } = shelf;
  /** Hosts of no cluster: whether each could begin one, or is on its way into one; and when it was met. */
  const neighbours = new Map<string, { standing: Standing; busy: boolean; at: number }>();

  function standing(): Standing {
    if (record.pending || record.current?.removed) return 'moving';
    if (!record.current) return 'lone';
    return record.current.settled ? 'settled' : 'single';
  }

  function first(beside: { peer: string; busy?: boolean | undefined }[]): string | undefined {
    const now = performance.now();
    for (const [id, { at }] of neighbours) if (now - at > NEIGHBOUR_MS) neighbours.delete(id);
    // Who is on its way will be of a cluster soon, and that is the one to join.
    if ([...neighbours.values()].some(({ standing }) => standing === 'moving')) return undefined;
    const met = [...neighbours].map(([id, each]) => ({ peer: id, busy: each.busy }));
    const order = (each: { peer: string; busy?: boolean | undefined }) => `${each.busy ? 0 : 1} ${each.peer}`;
    const all = [...(able ? [{ peer: peer.id, busy: busy() }] : []), ...met, ...beside];
    return all.sort((a, b) => (order(a) < order(b) ? -1 : 1))[0]?.peer;
  }

  function side(beside?: { peer: string; busy?: boolean | undefined }): Side {
    const begins = standing() === 'lone' && heard() ? first(beside ? [beside] : []) : undefined;
    const cluster = record.current?.id;
    return {
      peer: peer.id,
      standing: standing(),
      able,
      ...(busy() ? { busy: true } : {}),
      ...(cluster ? { cluster } : {}),
      ...(begins ? { first: begins } : {}),
    };
  }

  return {
    ...{ peer: peer.id, name: peer.name, able, busy, side, keyOf: password ? keysOf(password) : undefined },
    cluster() {
      const { current } = record;
      if (!current) return undefined;
      const { id, secured, endpoints, hosts, epoch } = current;
      const told = Object.fromEntries(Object.entries(hosts).slice(0, HOSTS_TOLD));
      return { id, secret: shelf.authority(id).key, secured, news: { endpoints, hosts: told, epoch } };
    },
    met(theirs) {
      const { pending } = record;
      if (pending?.from === theirs.peer && theirs.cluster !== pending.id && theirs.standing !== 'moving') life.doubt();
      const { standing } = theirs;
      const counts = standing === 'moving' || (standing === 'lone' && theirs.able);
      if (counts) neighbours.set(theirs.peer, { standing, busy: theirs.busy ?? false, at: performance.now() });
      else neighbours.delete(theirs.peer);
    },
    async admit(theirs) {
      if (standing() === 'moving') return undefined;
      if (!record.current && theirs.standing === 'lone' && able) life.begin();
      if (!record.current) return undefined;
      const { id, secured } = record.current;
      if (secured && !password) throw withoutPassword(peer.name);
      const { cert, key } = shelf.authority(id);
      return { id, secured, ca: { cert, key }, ...this.cluster()!.news };
    },
    join: life.join,
    learn: life.learn,
  };
}
