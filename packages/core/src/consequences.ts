import { desiredEndpoint, desiredEntries, desiredNetwork } from './desired.ts';
import { opensShard } from './endpoints.ts';
import type { Resource } from './kernel.ts';
import type { Change, Endpoint } from './model.ts';
import { joinsOthers, underlayOf } from './overlay.ts';
import type { State } from './state.ts';

/** What changes alter beside the units that a verb names. */
export interface Consequences {
  /** Who has endpoints of them is not as it was, or they need another bridge. */
  networks: Set<string>;
  /** Endpoints whose entries do. */
  endpoints: Set<string>;
}

/** To be asked before they are applied. Costs what the changes are about, unless an overlay comes or goes. */
export function consequences(state: State, changes: readonly Change[]): Consequences {
  const networks = new Set<string>();
  const endpoints = new Set<string>();
  const all = (network: string) => {
    networks.add(network);
    for (const { id } of state.endpointsOf(network)) endpoints.add(id);
  };
  for (const { table, id, record } of changes) {
    if (table === 'endpoint') endpoints.add(id);
    if (table === 'endpoint' && record && opensShard(state, record)) networks.add(record.network);
    if (table === 'network' && record?.vni !== state.networks.get(id)?.vni) all(id);
    if (table !== 'peer' || record?.underlay === underlayOf(state, id)) continue;
    for (const network of state.networks.keys()) if (state.membersOf(network).has(id)) all(network);
  }
  for (const [network, peers] of crossings(state, changes)) {
    const before = state.membersOf(network);
    const came = [...peers.values()].filter(Boolean).length;
    const size = before.size + came - (peers.size - came);
    const [was, is] = [before, { has: (peer: string) => peers.get(peer) ?? before.has(peer), size }].map((members) =>
      joinsOthers(state.self, members),
    );
    if (was !== is) all(network);
    else if (is || isForeign(state, network)) networks.add(network);
  }
  return { networks, endpoints };
}

const isForeign = (state: State, network: string) => (state.networks.get(network)?.origin ?? state.self) !== state.self;

/** By network, the hosts that get their first endpoint of it (true), and those that lose their last (false). */
function crossings(state: State, changes: readonly Change[]): Map<string, Map<string, boolean>> {
  const sums = new Map<string, Map<string, number>>();
  const add = (endpoint: Endpoint | null | undefined, by: number) => {
    if (!endpoint) return;
    const { network, peer } = endpoint;
    const peers = sums.get(network) ?? new Map<string, number>();
    sums.set(network, peers.set(peer, (peers.get(peer) ?? state.membersOf(network).get(peer) ?? 0) + by));
  };
  const latest = new Map<string, Endpoint | null>();
  for (const { table, id, record } of changes) {
    if (table !== 'endpoint') continue;
    add(latest.has(id) ? latest.get(id) : state.endpoints.get(id), -1);
    add(record, 1);
    latest.set(id, record);
  }
  const crossed = [...sums].map(([network, peers]) => {
    const before = state.membersOf(network);
    const over = [...peers].filter(([peer, sum]) => sum > 0 !== before.has(peer));
    return [network, new Map(over.map(([peer, sum]) => [peer, sum > 0]))] as const;
  });
  return new Map(crossed.filter(([, peers]) => peers.size > 0));
}

/** What a verb is about. */
export interface Touched {
  networks?: readonly string[] | undefined;
  endpoints?: readonly string[] | undefined;
}

/** What is desired of what a verb is about, and of its consequences: to be asked before it, and after it. */
export function touched(state: State, { networks = [], endpoints = [] }: Touched, also: Consequences): Resource[] {
  const named = new Set(endpoints);
  return [
    ...[...new Set(networks).union(also.networks)].flatMap((id) => {
      const network = state.networks.get(id);
      return network ? desiredNetwork(state, network).resources : [];
    }),
    ...[...named.union(also.endpoints)].flatMap((id) => {
      const endpoint = state.endpoints.get(id);
      if (!endpoint) return [];
      const entries = desiredEntries(state, endpoint).resources;
      return named.has(id) ? [...desiredEndpoint(state, endpoint).resources, ...entries] : entries;
    }),
  ];
}
