import { spelled } from './address.ts';
import { desiredEndpoint, desiredEntries, desiredNetwork } from './desired.ts';
import { opensShard } from './endpoints.ts';
import type { Resource } from './kernel.ts';
import type { Change, Endpoint } from './model.ts';
import { joinsOthers } from './overlay.ts';
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
  const endpoints = new Set(changes.flatMap(({ table, id }) => (table === 'endpoint' ? id : [])));
  const networks = new Set(
    changes.flatMap(({ table, record }) =>
      table === 'endpoint' && record && opensShard(state, record) ? record.network : [],
    ),
  );
  const whole = new Set(changes.flatMap((change) => rewired(state, change)));
  for (const [network, peers] of crossings(state, changes)) {
    const before = state.membersOf(network);
    const came = [...peers.values()].filter(Boolean).length;
    const size = before.size + came - (peers.size - came);
    const after = { has: (peer: string) => peers.get(peer) ?? before.has(peer), size };
    const [was, is] = [before, after].map((members) => joinsOthers(state.self, members));
    if (was !== is) whole.add(network);
    else if (is || isForeign(state, network)) networks.add(network);
  }
  for (const network of whole) {
    networks.add(network);
    for (const { id } of state.endpointsOf(network)) endpoints.add(id);
  }
  return { networks, endpoints };
}

/** Networks whose entries lead elsewhere, or whose VXLAN device is made anew. */
function rewired(state: State, { table, id, record }: Change): string[] {
  if (table === 'network') return record?.vni === state.networks.get(id)?.vni ? [] : [id];
  if (table !== 'peer' || spelled(record?.underlay) === state.underlayOf(id)) return [];
  return [...state.networks.keys()].filter((network) => state.membersOf(network).has(id));
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
