import {
  type Change,
  type Condition,
  dropNetwork,
  dropPool,
  type Entry,
  fail,
  isDefinition,
  isSame,
  keys,
  learnDefinitions,
  type Network,
  type News,
  nameInKey,
  parseAddress,
  WeaveError,
  type Write,
} from '@weave/core';
import { inBackground } from '../log.ts';
import { type Context, commitAsMember, followAsMember, isThere, learn, listAsMember, unreachable } from './context.ts';
import { endpointIn, networkIn, poolIn } from './entries.ts';

export const definitionsIn = (entries: readonly Entry[]) => ({
  networks: entries.filter(({ key }) => key.startsWith(keys.network(''))).flatMap((e) => networkIn(e) ?? []),
  pools: entries.filter(({ key }) => key.startsWith(keys.pool(''))).flatMap((e) => poolIn(e) ?? []),
});

/** Networks and pools: the same on every host, changed by one host at a time. */
export function createDefinitions(context: Context) {
  const { host } = context;
  const { state } = host;
  /** The guard's revision that our records are as of; undefined where some could not be recorded. */
  let guard: number | undefined = 0;
  /** What was listed is as of it: news from before are old. */
  let asOf = 0;

  function disagree(): void {
    definitions.unsure = true;
    context.disagrees();
  }

  async function tell(news: News): Promise<void> {
    // It was listed before what was done since: that would go, and come again.
    if (news.kind === 'all' && news.revision < context.told) return refresh().catch(context.missed);
    if (news.kind === 'all') asOf = news.revision;
    else if (news.revision <= asOf) return;
    context.told = news.revision;
    if (news.kind === 'all') guard = 0;
    if (guard !== undefined) guard = isThere(news.entries, keys.guard)?.revision ?? guard;
    const isKnown = await learnAll(news.entries, news.kind === 'all' ? missingFrom(news.entries) : goneIn(news.gone));
    // Nothing is decided without what it says, until all is told again.
    if (!isKnown) guard = undefined;
  }

  async function learnAll(entries: readonly Entry[], gone: Change[]): Promise<boolean> {
    const networksOf = (changes: readonly Change[]) => changes.filter((c) => c.table === 'network').map(({ id }) => id);
    const record = (changes: readonly Change[]) =>
      changes.length === 0 || learn(context, { changes, networks: networksOf(changes) });
    // What is gone first: another network may have its pool by now. Recorded at once, before anything is waited for.
    const recorded = [record(gone), record(learnDefinitions(state, definitionsIn(entries)))];
    return (await Promise.all(recorded)).every(Boolean);
  }

  function missingFrom(entries: readonly Entry[]): Change[] {
    const there = new Set(entries.map(({ key }) => key));
    return dropped((key) => !there.has(key));
  }

  function goneIn(gone: readonly string[]): Change[] {
    if (gone.length === 0) return [];
    const keysGone = new Set(gone);
    return dropped((key) => keysGone.has(key));
  }

  /** One that was removed elsewhere while it came to be in use here is told again, or given up. */
  function dropped(isGone: (key: string) => boolean): Change[] {
    const networks = [...state.networks.keys()].filter((id) => isGone(keys.network(id)));
    const inUse = networks.filter((id) => state.isMember(id));
    if (inUse.length > 0) disagree();
    const leaving = new Set(networks.filter((id) => !inUse.includes(id)));
    const staying = [...state.networks.values()].filter(({ id }) => !leaving.has(id));
    const kept = new Set(staying.flatMap(({ subnets }) => subnets.flatMap(({ pool }) => pool ?? [])));
    const pools = [...state.pools.keys()].filter((id) => isGone(keys.pool(id)) && !kept.has(id));
    const going = [...leaving].flatMap((id) => dropNetwork(state, id));
    const gone = new Set(going.map(({ id }) => id));
    return [...going, ...pools.filter((id) => !gone.has(id)).flatMap((id) => dropPool(state, id))];
  }

  async function refresh(): Promise<void> {
    let listed = await listAsMember(context, keys.definitions);
    while (listed.revision < context.told) listed = await listAsMember(context, keys.definitions);
    await tell({ kind: 'all', ...listed });
    if (guard === undefined)
      fail('WEAVE_STORE_FAILED', 'what other hosts made of the networks cannot be recorded here');
  }

  const definitions = {
    /** What was recorded by a process before, or is in use here and was removed, is not compared yet. */
    unsure: true,
    follow: () =>
      followAsMember(
        context,
        keys.definitions,
        (news) => void inBackground(host.log, 'news of networks could not be understood', () => tell(news)),
      ),
    /** False: another host was faster, and the decision has to be taken anew. */
    async define(changes: readonly Change[]): Promise<boolean> {
      const network = changes.find((c) => c.table === 'network' && c.record !== null)?.record as Network | undefined;
      if (!context.reachable)
        throw unreachable(
          network
            ? `network ${network.name} cannot be made known to the other hosts: the directory does not answer`
            : 'networks cannot be changed: the directory does not answer',
        );
      if (guard === undefined) {
        await refresh();
        return false;
      }
      const removed = changes.flatMap((c) => (c.table === 'network' && c.record === null ? c.id : []));
      const when: Condition[] = [
        { key: keys.guard, revision: guard },
        ...removed.map((id) => ({ none: keys.endpoints(id) })),
        ...(await unclaimed(context, changes)),
      ];
      // A pool that is left over may be made anew at once: each key is written once, as it is in the end.
      const defined = new Map(changes.flatMap((c) => writesOf(state.self, c)).map((write) => [write.key, write]));
      const marks = removed.map((id): Write => ({ key: keys.claimed(id), value: null }));
      const writes: Write[] = [{ key: keys.guard, value: state.self }, ...defined.values(), ...marks];
      const done = await commitAsMember(context, when, writes);
      if (done === undefined) {
        for (const id of removed) await mustBeUnused(context, id);
        await refresh();
        return false;
      }
      context.told = Math.max(context.told, done);
      if (removed.some((id) => state.isMember(id))) {
        // Something was attached here meanwhile: it is told again.
        disagree();
        return false;
      }
      // Others' later changes were told before this answer came: they count, and are asked for again.
      if (guard === undefined || guard > done) context.missed();
      else guard = done;
      return true;
    },
    /** The revision of a network's definition, which is as it is known here, or is from now on. */
    async asKnown(id: string): Promise<number> {
      const key = keys.network(id);
      const entry = isThere((await context.directory.list(key)).entries, key);
      const subnets = entry && networkIn(entry)?.subnets;
      if (subnets && !isSame(subnets, state.networks.get(id)?.subnets)) await refresh();
      return entry?.revision ?? 0;
    },
  };
  return definitions;
}

export type Definitions = ReturnType<typeof createDefinitions>;

export function writesOf(self: string, change: Change): (Write & { key: string })[] {
  if (!isDefinition(change)) return [];
  const key = change.table === 'pool' ? keys.pool(change.id) : keys.network(change.id);
  if (change.record)
    return [{ key, value: JSON.stringify({ ...change.record, origin: change.record.origin ?? self }) }];
  // The cells of a pool are their owners' to give back: one that has not heard yet hands out of them.
  return [{ key, value: null }];
}

/** What has to hold so that no address is claimed by itself that is of a subnet which grows. Throws whose one is. */
async function unclaimed(context: Context, changes: readonly Change[]): Promise<Condition[]> {
  const { directory, host } = context;
  const { state } = host;
  const conditions: Condition[] = [];
  for (const { table, id, record } of changes) {
    const before = table === 'network' ? state.networks.get(id) : undefined;
    if (!before || !record || isSame(before.subnets, (record as Network).subnets)) continue;
    // First what is rewritten with each: what is claimed from now on moves it.
    const mark = isThere((await directory.list(keys.claimed(id))).entries, keys.claimed(id));
    const { entries } = await directory.list(keys.claims(id));
    const taken = entries.find(({ key }) => {
      const claimed = parseAddress(nameInKey(key));
      return claimed && state.subnetOf(record as Network, claimed);
    });
    if (taken)
      fail(
        'WEAVE_ADDRESS_IN_USE',
        `${nameInKey(taken.key)} on network ${before.name} is in use on host ${state.peers.get(taken.value)?.name ?? taken.value}, outside its subnets`,
        { hint: 'Detach it first, or choose a subnet that it is not in.' },
      );
    conditions.push({ key: keys.claimed(id), revision: mark?.revision ?? 0 });
  }
  return conditions;
}

/** Throws who uses a network, on which hosts. */
async function mustBeUnused({ directory, host: { state } }: Context, id: string): Promise<void> {
  const { entries } = await directory.list(keys.endpoints(id));
  if (entries.length === 0) return;
  // Also of those that cannot be read: they are in the way all the same.
  const users = entries.map((entry) => {
    const [peer = '', id = ''] = entry.key.split('/').slice(-2);
    return { container: endpointIn(entry)?.container, peer, id };
  });
  const hostOf = (peer: string) => (peer === state.self ? 'this host' : `host ${state.peers.get(peer)?.name ?? peer}`);
  const names = users.map((e) => `${e.container?.name ?? e.id.slice(0, 12)} on ${hostOf(e.peer)}`).sort();
  throw new WeaveError(
    'WEAVE_NETWORK_IN_USE',
    `network ${state.networks.get(id)?.name ?? id} is in use by ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`,
  );
}
