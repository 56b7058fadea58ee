import { type Change, type Endpoint, type Entry, isSame, keys, type News, nameInKey, type Peer } from '@weave/core';
import { type Context, followAsMember, learn } from './context.ts';
import { endpointIn, peerIn } from './entries.ts';

/** What other hosts tell of themselves and of their endpoints, on the networks that this host has endpoints on. */
export function createMembers(context: Context) {
  const { host, alive } = context;
  const { state } = host;
  const following = new Map<string, () => void>();
  /** Own endpoint → network: once it is gone its record does not tell any more. */
  const placed = new Map<string, string>();
  let ends: (() => void)[] = [];
  let began = false;

  function peers(news: News): void {
    if (news.kind === 'changes' && news.gone.includes(keys.peer(state.self))) context.disagrees();
    const seen = news.entries.flatMap((entry) => peerIn(entry) ?? []).filter(({ id }) => id !== state.self);
    const gone =
      news.kind === 'all'
        ? without(state.peers.keys(), [state.self, ...seen.map(({ id }) => id)])
        : news.gone.map(nameInKey).filter((id) => state.peers.has(id) && id !== state.self);
    const changed = seen.filter((peer) => !isSame(state.peers.get(peer.id), peer));
    // What it told of its endpoints goes by itself, or stays for when it is back.
    const changes: Change[] = [
      ...changed.map((peer: Peer): Change => ({ table: 'peer', id: peer.id, record: peer })),
      ...gone.map((id): Change => ({ table: 'peer', id, record: null })),
    ];
    if (changes.length > 0) void learn(context, { changes });
  }

  function liveness(news: News): void {
    const before = new Set(alive);
    if (news.kind === 'all') alive.clear();
    else for (const key of news.gone) alive.delete(nameInKey(key));
    for (const { key } of news.entries) alive.add(nameInKey(key));
    const turned = [...before, ...alive].filter((id) => before.has(id) !== alive.has(id));
    const told = context.listens ? turned : state.peers.keys();
    context.listens = true;
    for (const id of told) host.emit({ type: 'peer', action: 'changed', id });
    // A lease that expired while we were away took the key along.
    if (news.kind === 'changes' && news.gone.includes(keys.alive(state.self))) context.disagrees();
  }

  function endpoints(network: string, news: News): void {
    // Its network may have gone meanwhile.
    if (!following.has(network) || !state.networks.has(network)) return;
    const seen = news.entries.flatMap((entry) => remote(network, entry) ?? []);
    const gone =
      news.kind === 'all'
        ? without(
            remotesOn(network),
            seen.map(({ id }) => id),
          )
        : news.gone.filter(isTold).map(nameInKey);
    const changed = seen.filter((e) => !isSame(state.endpoints.get(e.id), e));
    const changes: Change[] = [
      ...gone.map((id): Change => ({ table: 'endpoint', id, record: null })),
      ...changed.map((e): Change => ({ table: 'endpoint', id: e.id, record: e })),
    ];
    if (changes.length > 0) void learn(context, { changes });
  }

  /** Whether it is what an endpoint of another host is known from. */
  function isTold(key: string): boolean {
    const endpoint = state.endpoints.get(nameInKey(key));
    return isRemote(endpoint) && keys.endpoint(endpoint) === key;
  }

  function remote(network: string, entry: Entry): Endpoint | undefined {
    const endpoint = endpointIn(entry);
    const isWhatItSays = endpoint?.network === network && entry.key === keys.endpoint(endpoint);
    return isWhatItSays && isRemote(endpoint) && !isOwn(endpoint.id) ? endpoint : undefined;
  }

  const isOwn = (id: string) => state.endpoints.get(id)?.peer === state.self;
  const isRemote = (e: Endpoint | undefined): e is Endpoint => e !== undefined && e.peer !== state.self;
  const remotesOn = (network: string): string[] =>
    state
      .endpointsOf(network)
      .filter(isRemote)
      .map(({ id }) => id);

  /** Follows a network for as long as this host has an endpoint there. */
  function update(network: string): void {
    if (!began) return;
    const isOn = state.isMember(network);
    if (isOn === following.has(network)) return;
    if (isOn) {
      following.set(network, () => undefined);
      const end = followAsMember(context, keys.endpoints(network), (news) => endpoints(network, news));
      following.set(network, end);
      return;
    }
    following.get(network)!();
    following.delete(network);
    forget(network);
  }

  function forget(network: string): void {
    const changes = remotesOn(network).map((id): Change => ({ table: 'endpoint', id, record: null }));
    if (changes.length > 0) void learn(context, { changes });
  }

  /** The network whose following a change may begin or end. */
  function concerned({ table, id, record }: Change): string | undefined {
    if (table === 'network') return record === null ? id : undefined;
    if (table !== 'endpoint') return undefined;
    const network = record === null ? placed.get(id) : record.peer === state.self ? record.network : undefined;
    if (record === null) placed.delete(id);
    else if (network) placed.set(id, network);
    return network;
  }

  function end(): void {
    for (const each of [...ends, ...following.values()]) each();
    following.clear();
  }

  return {
    /** All of it, anew. */
    follow(): void {
      end();
      began = true;
      ends = [followAsMember(context, keys.peers, peers), followAsMember(context, keys.alives, liveness)];
      for (const e of state.endpoints.values()) if (e.peer === state.self) placed.set(e.id, e.network);
      for (const network of [...state.networks.keys()])
        if (state.isMember(network)) update(network);
        else forget(network);
    },
    note(changes: readonly Change[]): void {
      for (const network of new Set(changes.flatMap((change) => concerned(change) ?? []))) update(network);
    },
    end,
  };
}

export type Members = ReturnType<typeof createMembers>;

function without(all: Iterable<string>, some: readonly string[]): string[] {
  const going = new Set(some);
  return [...all].filter((id) => !going.has(id));
}
