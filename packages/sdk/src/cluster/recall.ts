import { address, cidr, type Endpoint, formatAddress, keys, learnLease, narrowest, type State } from '@weave/core';
import type { Context } from './context.ts';
import { endpointIn, type Owned } from './entries.ts';
import { ownersOf } from './owned.ts';

/**
 * What the directory has of an engine of this host whose records were lost. Until that engine was heard it stays there
 * as it is, and nobody is given its addresses.
 */
export async function recall(context: Context): Promise<void> {
  const { directory, host } = context;
  const { state } = host;
  const recalled = new Map<string, Endpoint>();
  const owners = new Map<string, readonly Owned[]>();
  for (const { id, subnets } of isRebuilding(state) ? [...state.networks.values()] : []) {
    const { entries } = await directory.list(keys.endpointsOn(id, state.self));
    const endpoints = entries.flatMap((entry) => endpointIn(entry) ?? []).filter(({ owner }) => owner === 'docker');
    for (const endpoint of endpoints) recalled.set(endpoint.id, endpoint);
    for (const { pool } of subnets) if (pool && endpoints.length > 0) owners.set(pool, await ownersOf(context, pool));
  }
  context.recalled = recalled;
  const isOurs = (pool: string | undefined, text: string) =>
    narrowest(owners.get(pool ?? '') ?? [], address(text))?.peer === state.self;
  for (const { network, addresses } of recalled.values()) {
    const on = state.networks.get(network);
    if (!on) continue;
    const own = addresses
      .map((text) => formatAddress(cidr(text)))
      .filter((text) => isOurs(state.subnetOf(on, address(text))?.pool, text));
    host.commit(own.flatMap((text) => learnLease(state, on, text)));
  }
}

export const isRebuilding = ({ peers, self }: State): boolean => peers.get(self)?.rebuilding === true;
