import {
  type Change,
  dropNetwork,
  dropPool,
  type Entry,
  isDefinition,
  keys,
  learnDefinitions,
  type Network,
  type News,
  type Pool,
  WeaveError,
  type Write,
} from '@weave/core';
import { type Context, chunks, commitAsMember, unreachable } from './context.ts';
import { endpointIn, networkIn, poolIn } from './entries.ts';

/** How long news of a change that we know of may take. */
const NEWS_MS = 3000;

/** Networks and pools: the same on every host, changed by one host at a time. */
export function createDefinitions(context: Context) {
  const { host, directory, timers } = context;
  const { state } = host;
  /** The guard's revision that our records are as of. */
  let guard = 0;
  const waiting = new Set<() => void>();

  function tell(news: News): void {
    const pools = news.entries.filter(({ key }) => key.startsWith(keys.pool(''))).flatMap((e) => poolIn(e) ?? []);
    const networks = news.entries
      .filter(({ key }) => key.startsWith(keys.network('')))
      .flatMap((e) => networkIn(e) ?? []);
    const gone = news.kind === 'all' ? missingFrom(news.entries) : goneIn(news.gone);
    learn({ pools, networks }, gone);
    guard = news.entries.find(({ key }) => key === keys.guard)?.revision ?? (news.kind === 'all' ? 0 : guard);
    for (const wake of waiting) wake();
    waiting.clear();
  }

  function learn(shared: { pools: Pool[]; networks: Network[] }, gone: Change[]): void {
    const changes = [...gone, ...learnDefinitions(state, shared)];
    if (changes.length === 0) return;
    const ids = changes.filter(({ table }) => table === 'network').map(({ id }) => id);
    const endpoints = changes.filter(({ table }) => table === 'endpoint').map(({ id }) => id);
    host.follow({ changes, networks: ids, endpoints });
  }

  function missingFrom(entries: readonly Entry[]): Change[] {
    const there = new Set(entries.map(({ key }) => key));
    return [
      ...[...state.networks.keys()].filter((id) => !there.has(keys.network(id))).flatMap((id) => dropUnused(id)),
      ...[...state.pools.keys()].filter((id) => !there.has(keys.pool(id))).flatMap((id) => dropPool(state, id)),
    ];
  }

  function goneIn(gone: readonly string[]): Change[] {
    const keysGone = new Set(gone);
    return [
      ...[...state.networks.keys()].filter((id) => keysGone.has(keys.network(id))).flatMap((id) => dropUnused(id)),
      ...[...state.pools.keys()].filter((id) => keysGone.has(keys.pool(id))).flatMap((id) => dropPool(state, id)),
    ];
  }

  /** One that was removed elsewhere while this host, cut off, came to use it: what runs goes on, until it ends. */
  function dropUnused(id: string): Change[] {
    if (!state.isMember(id)) return dropNetwork(state, id);
    host.log('warn', 'a network that is in use here was removed elsewhere', { network: state.networks.get(id)?.name });
    return [];
  }

  const news = (): Promise<void> =>
    new Promise((wake) => {
      waiting.add(wake);
      timers.after(NEWS_MS, wake);
    });

  return {
    follow: () => directory.follow(keys.definitions, tell),
    /** False: another host was faster, and the decision has to be taken anew. */
    async define(changes: readonly Change[]): Promise<boolean> {
      const network = changes.find((c) => c.table === 'network' && c.record !== null)?.record as Network | undefined;
      if (!context.reachable)
        throw unreachable(
          network
            ? `network ${network.name} cannot be made known to the other hosts: the directory does not answer`
            : 'networks cannot be changed: the directory does not answer',
        );
      const removed = changes.flatMap((c) => (c.table === 'network' && c.record === null ? c.id : []));
      const when = [{ key: keys.guard, revision: guard }, ...removed.map((id) => ({ none: keys.endpoints(id) }))];
      const writes: Write[] = [
        { key: keys.guard, value: state.self },
        ...changes.flatMap((c) => writesOf(state.self, c)),
      ];
      if ((await commitAsMember(context, when, writes)) !== undefined) return true;
      for (const id of removed) await mustBeUnused(context, id);
      await news();
      return false;
    },
    /** All that this host knows, told to a directory that knows nothing. */
    async publishAll(): Promise<void> {
      const all = state.records().filter(isDefinition);
      const writes = all.flatMap((c) => writesOf(state.self, c));
      for (const part of chunks(writes)) await commitAsMember(context, [], part);
      await commitAsMember(context, [], [{ key: keys.guard, value: state.self }]);
    },
  };
}

export type Definitions = ReturnType<typeof createDefinitions>;

export function writesOf(self: string, change: Change): Write[] {
  if (!isDefinition(change)) return [];
  const key = change.table === 'pool' ? keys.pool(change.id) : keys.network(change.id);
  if (change.record)
    return [{ key, value: JSON.stringify({ ...change.record, origin: change.record.origin ?? self }) }];
  const rest = change.table === 'pool' ? keys.cells(change.id) : keys.claims(change.id);
  return [
    { key, value: null },
    { prefix: rest, value: null },
  ];
}

/** Throws who uses a network, on which hosts. */
async function mustBeUnused({ directory, host: { state } }: Context, id: string): Promise<void> {
  const { entries } = await directory.list(keys.endpoints(id));
  const users = entries.flatMap((entry) => endpointIn(entry) ?? []);
  if (users.length === 0) return;
  const hostOf = (peer: string) => (peer === state.self ? 'this host' : `host ${state.peers.get(peer)?.name ?? peer}`);
  const names = users.map((e) => `${e.container?.name ?? e.id.slice(0, 12)} on ${hostOf(e.peer)}`).sort();
  throw new WeaveError(
    'WEAVE_NETWORK_IN_USE',
    `network ${state.networks.get(id)?.name ?? id} is in use by ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`,
  );
}
