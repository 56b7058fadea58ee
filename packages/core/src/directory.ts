import { cidr, formatAddress } from './address.ts';
import { isGrownFrom, takenIn } from './grown.ts';
import { type Change, type Endpoint, type Name, type Network, nameId, type Pool } from './model.ts';
import type { State } from './state.ts';

/*
   What is where in the directory. Each record has one writer, or is changed by compare-and-swap alone.

   cluster                               which cluster this is
   cluster/settling                      leased by who made the directory anew, until the others have told what they know
   peer/PEER                             a host, by itself
   fence/PEER                            rewritten by that host when it comes back: its revision proves that it still
                                         belongs, and that nothing it began before is yet to come
   alive/PEER                            leased by that host
   definition/guard                      compared and bumped by whoever changes a definition
   definition/pool/POOL, …/network/ID    pools and networks
   cell/POOL/CELL                        who owns a block of addresses
   claim/NETWORK/ADDRESS                 who has an address that is in no pool
   claimed/NETWORK                       rewritten with each claim: what is listed of them is all while it stands
   wish/OWNER/PEER.POOL                  what a host asks of the owner of a cell; or that it gave that host something;
                                         leased by PEER
   on/PEER/NETWORK                       that a host has endpoints there
   endpoint/NETWORK/PEER/ID              an endpoint, by its host
   name/PEER/NAME/ADDRESS                a name that somebody gave to an address, by that host
*/

const ROOT = '/weave/';
/** A subnet has a slash of its own. */
const flat = (text: string) => text.replaceAll('/', '_');

export const keys = {
  cluster: `${ROOT}cluster`,
  settling: `${ROOT}cluster/settling`,
  peers: `${ROOT}peer/`,
  peer: (id: string) => `${ROOT}peer/${id}`,
  fence: (peer: string) => `${ROOT}fence/${peer}`,
  alives: `${ROOT}alive/`,
  alive: (peer: string) => `${ROOT}alive/${peer}`,
  definitions: `${ROOT}definition/`,
  guard: `${ROOT}definition/guard`,
  pool: (id: string) => `${ROOT}definition/pool/${flat(id)}`,
  network: (id: string) => `${ROOT}definition/network/${id}`,
  allCells: `${ROOT}cell/`,
  cells: (pool: string) => `${ROOT}cell/${flat(pool)}/`,
  cell: (pool: string, text: string) => `${ROOT}cell/${flat(pool)}/${flat(text)}`,
  allClaims: `${ROOT}claim/`,
  claims: (network: string) => `${ROOT}claim/${network}/`,
  claim: (network: string, address: string) => `${ROOT}claim/${network}/${address}`,
  claimed: (network: string) => `${ROOT}claimed/${network}`,
  allWishes: `${ROOT}wish/`,
  wishes: (owner: string) => `${ROOT}wish/${owner}/`,
  wish: (owner: string, peer: string, pool: string) => `${ROOT}wish/${owner}/${peer}.${flat(pool)}`,
  allPresences: `${ROOT}on/`,
  presences: (peer: string) => `${ROOT}on/${peer}/`,
  presence: (peer: string, network: string) => `${ROOT}on/${peer}/${network}`,
  allNames: `${ROOT}name/`,
  names: (peer: string) => `${ROOT}name/${peer}/`,
  name: (name: Name) => `${ROOT}name/${nameId(name)}`,
  endpoints: (network: string) => `${ROOT}endpoint/${network}/`,
  endpointsOn: (network: string, peer: string) => `${ROOT}endpoint/${network}/${peer}/`,
  endpoint: ({ network, peer, id }: Pick<Endpoint, 'network' | 'peer' | 'id'>) =>
    `${ROOT}endpoint/${network}/${peer}/${id}`,
};

/** The last part of a key. */
export const nameInKey = (key: string): string => key.slice(key.lastIndexOf('/') + 1);
/** A subnet as it is in a key. */
export const cidrInKey = (key: string): string => nameInKey(key).replace('_', '/');

/** What other hosts are told of an endpoint; undefined while it is attached nowhere. */
export function published(endpoint: Endpoint): Endpoint | undefined {
  const { sandbox, ports: _, shard: __, noMulticast: ___, awaited: _____, hosts: ____, ...rest } = endpoint;
  return sandbox ? rest : undefined;
}

/** Addresses of an endpoint that are in no pool, without prefix lengths: each is claimed by itself. */
export function unpooled(state: State, { network, addresses }: Pick<Endpoint, 'network' | 'addresses'>): string[] {
  const on = state.networks.get(network);
  if (!on) return [];
  return addresses.filter((text) => !state.subnetOf(on, cidr(text))?.pool).map((text) => formatAddress(cidr(text)));
}

export const isDefinition = (change: Change): change is Extract<Change, { table: 'pool' | 'network' }> =>
  change.table === 'pool' || change.table === 'network';

/** Definitions as they are shared, made the ones of this host: what differs. */
export function learnDefinitions(state: State, shared: { pools: readonly Pool[]; networks: readonly Network[] }) {
  const mine = <T extends { origin?: string }>(record: T): T => {
    const { origin, ...rest } = record;
    return origin === state.self ? (rest as T) : record;
  };
  const changes: Change[] = [];
  for (const pool of shared.pools.map(mine))
    if (!isSame(state.pools.get(pool.id), pool)) changes.push({ table: 'pool', id: pool.id, record: pool });
  // Each host finds out by itself what fits, and all come to the same.
  const sized = (network: Network): Network =>
    network.autoMtu ? { ...network, mtu: state.networks.get(network.id)?.mtu ?? network.mtu } : network;
  for (const network of shared.networks.map(mine).map(sized))
    if (!isSame(state.networks.get(network.id), network)) changes.push(...learnNetwork(state, network));
  return changes;
}

/** What is on it is told anew where its subnets are others: which pool an address is of may have changed. */
function learnNetwork(state: State, network: Network): Change[] {
  const before = state.networks.get(network.id);
  if (before && isGrownFrom(network, before))
    return [{ table: 'network', id: network.id, record: network }, ...takenIn(state, before, network)];
  const on = before && !isSame(before.subnets, network.subnets) ? state.endpointsOf(network.id) : [];
  return [
    ...on.map((e): Change => ({ table: 'endpoint', id: e.id, record: null })),
    { table: 'network', id: network.id, record: network },
    ...gatewaysTaken(state, network),
    ...on.map((e): Change => ({ table: 'endpoint', id: e.id, record: e })),
  ];
}

/** A gateway is the same on every host, and no host hands it out. */
function gatewaysTaken(state: State, { subnets }: Network): Change[] {
  return subnets.flatMap(({ pool, gateway }): Change[] => {
    if (!pool || !gateway || state.leases.has(`${pool} ${gateway}`)) return [];
    return [{ table: 'lease', id: `${pool} ${gateway}`, record: { pool, address: gateway } }];
  });
}

/** Whether two records say the same, whatever the order of their fields. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const [ofA, ofB] = [fieldsOf(a), fieldsOf(b)];
  return (
    Array.isArray(a) === Array.isArray(b) &&
    ofA.length === ofB.length &&
    ofA.every((name) => Object.hasOwn(b, name) && isSame(a[name as keyof typeof a], b[name as keyof typeof b]))
  );
}

/** As they are written: one that is undefined is not. */
const fieldsOf = (record: object) =>
  Object.keys(record).filter((name) => record[name as keyof typeof record] !== undefined);

/** A network with all that is known of it on this host, gone. What another one is made of by now stays. */
export function dropNetwork(state: State, id: string): Change[] {
  const network = state.networks.get(id);
  if (!network) return [];
  const others = [...state.networks.values()].filter((each) => each.id !== id);
  const kept = new Set(others.flatMap(({ subnets }) => subnets.map(({ pool }) => pool)));
  const pools = network.subnets.flatMap(({ pool }) => pool ?? []).filter((pool) => !kept.has(pool));
  return [
    ...state.endpointsOf(id).map((e): Change => ({ table: 'endpoint', id: e.id, record: null })),
    ...[...state.bindings.values()]
      .filter((each) => each.network === id)
      .map((each): Change => ({ table: 'binding', id: each.id, record: null })),
    { table: 'network', id, record: null },
    ...pools.flatMap((pool) => dropPool(state, pool)),
  ];
}

/** A pool with all that is known of it; its cells are this host's until the directory has heard. */
export function dropPool(state: State, pool: string): Change[] {
  const of = <T extends { pool: string }>(table: Map<string, T>) =>
    [...table].filter(([, record]) => record.pool === pool);
  return [
    ...of(state.leases).map(([id]): Change => ({ table: 'lease', id, record: null })),
    ...of(state.cells).map(([id, cell]): Change => ({ table: 'cell', id, record: { ...cell, leaving: true } })),
    { table: 'pool', id: pool, record: null },
  ];
}
