import {
  address,
  type Change,
  cidr,
  type Endpoint,
  formatAddress,
  keys,
  learnLease,
  narrowest,
  type State,
} from '@weave/core';
import type { Context } from './context.ts';
import { endpointIn, type Owned } from './entries.ts';
import { ownersOf } from './owned.ts';

/**
 * What the directory has of an engine of this host whose records were lost. Until that engine was heard it stays there
 * as it is, and nobody is given its addresses.
 */
export async function recall(context: Context): Promise<void> {
  const { directory, host, recalled } = context;
  const { state } = host;
  const endpoints: Endpoint[] = [];
  const owners = new Map<string, readonly Owned[]>();
  for (const { id, subnets } of isRebuilding(state) ? [...state.networks.values()] : []) {
    const { entries } = await directory.list(keys.endpointsOn(id, state.self));
    const found = entries.flatMap((entry) => endpointIn(entry) ?? []).filter(({ owner }) => owner === 'docker');
    endpoints.push(...found);
    for (const { pool } of subnets) if (pool && found.length > 0) owners.set(pool, await ownersOf(context, pool));
  }
  recalled.endpoints.clear();
  // It may have been heard meanwhile.
  if (!isRebuilding(state)) return freeUnused(context);
  for (const endpoint of endpoints) {
    recalled.endpoints.set(endpoint.id, endpoint);
    const leases = leasesOf(state, endpoint, owners);
    host.commit(leases);
    for (const { id } of leases) recalled.leases.set(id, state.grants.of('lease', id));
  }
}

export const isRebuilding = ({ peers, self }: State): boolean => peers.get(self)?.rebuilding === true;

/** Of its addresses that are this host's own still. */
function leasesOf(state: State, { network, addresses }: Endpoint, owners: ReadonlyMap<string, readonly Owned[]>) {
  const on = state.networks.get(network);
  if (!on) return [];
  return addresses.flatMap((text): Change[] => {
    const plain = formatAddress(cidr(text));
    const pool = state.subnetOf(on, address(plain))?.pool ?? '';
    const isOwn = state.pools.has(pool) && narrowest(owners.get(pool) ?? [], address(plain))?.peer === state.self;
    return isOwn ? learnLease(state, on, plain) : [];
  });
}

/** The engine does not judge these: it was looked at before they were made. */
function freeUnused({ host, recalled }: Context): void {
  const { state } = host;
  const isUnused = ([id, grant]: [string, string]) => {
    const lease = state.leases.get(id);
    const on = lease && state.networkOfPool(lease.pool);
    return on && state.grants.of('lease', id) === grant && !state.addressOwner(on.id, lease.address);
  };
  host.commit([...recalled.leases].filter(isUnused).map(([id]): Change => ({ table: 'lease', id, record: null })));
  recalled.leases.clear();
}
