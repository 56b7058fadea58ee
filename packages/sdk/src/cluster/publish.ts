import { type Change, type Endpoint, type Entry, keys, nameInKey, published } from '@weave/core';
import { type Context, chunks, commitAsMember, unreachable } from './context.ts';
import { createFlush } from './flush.ts';

/** Of what may or may not be there. */
const UNKNOWN = '';
type Put = { key: string; value: string } | { key: string; value: null };
/** Endpoints at a time. */
const BATCH = 100;

/** Keeps this host's endpoints in the directory as they are here: soon after each change, and after every gap. */
export function createPublisher(context: Context) {
  const { state } = context.host;
  const there = new Map<string, string>();
  /** Endpoint → network, of those that are or were there. */
  const placed = new Map<string, string>();
  const dirty = new Map<string, string>();
  /** Networks whose presence has to be looked at, also where no endpoint is left to be told of. */
  const emptied = new Set<string>();
  let comparing = false;
  const flush = createFlush(context, 'endpoints', write);

  function note(changes: readonly Change[]): void {
    for (const { table, id, record } of changes) {
      if (table !== 'endpoint') continue;
      if (record?.peer === state.self) placed.set(id, record.network);
      const network = placed.get(id);
      if (network) dirty.set(id, network);
    }
    if (dirty.size > 0) flush.now();
  }

  const isOwn = (e: Endpoint | undefined): e is Endpoint => e?.peer === state.self;

  function isOn(network: string): boolean {
    for (const e of state.eachOf(network)) if (isOwn(e) && e.sandbox) return true;
    for (const e of context.recalled.endpoints.values()) if (e.network === network) return true;
    return false;
  }

  function writesFor(changed: ReadonlyMap<string, string>, networks: ReadonlySet<string>): Put[] {
    const wanted = new Map<string, string | null>();
    for (const [id, network] of changed) {
      if (context.recalled.endpoints.has(id) && !state.endpoints.has(id)) continue;
      const endpoint = state.endpoints.get(id);
      const text = isOwn(endpoint) ? JSON.stringify(published(endpoint)) : undefined;
      wanted.set(keys.endpoint({ network, peer: state.self, id }), text ?? null);
    }
    for (const network of networks) {
      wanted.set(keys.presence(state.self, network), isOn(network) ? '{}' : null);
    }
    return [...wanted]
      .filter(([key, value]) => (there.get(key) ?? null) !== value)
      .map(([key, value]): Put => (value === null ? { key, value } : { key, value }));
  }

  async function write(): Promise<void> {
    while ((dirty.size > 0 || emptied.size > 0) && !comparing && context.reachable && context.fence > 0) {
      const changed = new Map([...dirty].slice(0, BATCH));
      const networks = new Set([...changed.values(), ...emptied]);
      for (const id of changed.keys()) dirty.delete(id);
      emptied.clear();
      await writeAll(changed, networks);
      for (const id of changed.keys()) if (!state.endpoints.has(id) && !dirty.has(id)) placed.delete(id);
    }
  }

  async function writeAll(changed: ReadonlyMap<string, string>, networks: ReadonlySet<string>): Promise<void> {
    try {
      for (const part of chunks(writesFor(changed, networks))) await writePart(part);
    } catch (error) {
      // What may not have been done is done again.
      for (const [id, network] of changed) if (!dirty.has(id)) dirty.set(id, network);
      for (const network of networks) emptied.add(network);
      throw error;
    }
  }

  async function writePart(part: readonly Put[]): Promise<void> {
    // Until it is certain nothing is.
    for (const { key } of part) there.set(key, UNKNOWN);
    await commitAsMember(context, [], part);
    for (const { key, value } of part)
      if (value === null) there.delete(key);
      else there.set(key, value);
  }

  async function compare(): Promise<void> {
    const { directory } = context;
    const { entries } = await directory.list(keys.presences(state.self));
    const networks = new Set(entries.map(({ key }) => nameInKey(key)));
    for (const e of state.endpoints.values()) if (isOwn(e)) networks.add(e.network);
    const listed: Entry[] = [...entries];
    for (const network of networks)
      listed.push(...(await directory.list(keys.endpointsOn(network, state.self))).entries);
    there.clear();
    for (const { key, value } of listed) there.set(key, value);
    for (const { key } of listed.slice(entries.length)) placed.set(nameInKey(key), key.split('/')[3]!);
    for (const e of state.endpoints.values()) if (isOwn(e)) placed.set(e.id, e.network);
    for (const [id, network] of placed) dirty.set(id, network);
    for (const network of networks) emptied.add(network);
  }

  return {
    note,
    /** Compares what is there with what is here, and writes what differs. */
    async resync(): Promise<void> {
      comparing = true;
      try {
        await flush.idle();
        await compare();
      } finally {
        comparing = false;
      }
      flush.now();
    },
    flush: flush.now,
    /** Returns when what was changed until now is there; rejects where it cannot be. */
    async settled(): Promise<void> {
      flush.now();
      await flush.idle();
      if (dirty.size > 0) throw unreachable('endpoints cannot be published: the directory does not answer');
    },
    end: flush.end,
  };
}

export type Publisher = ReturnType<typeof createPublisher>;
