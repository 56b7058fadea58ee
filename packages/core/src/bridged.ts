import { freeShard } from './endpoints.ts';
import type { Change, Endpoint, Network } from './model.ts';
import { bridgedName, hashId, hashMac } from './names.ts';
import type { State } from './state.ts';

const idOf = (state: State, network: Network, bridge: string) => hashId('bridge', network.id, bridge, state.self);

/** What joins a bridge of this host to a network, if it is joined. */
export const bridgedOf = (state: State, network: Network, bridge: string): Endpoint | undefined =>
  state.endpoints.get(idOf(state, network, bridge));

/** Joins a bridge of this host to a network, with all that is on it. Done twice it is a success. */
export function bridged(state: State, network: Network, bridge: string): { endpoint: Endpoint; changes: Change[] } {
  const current = bridgedOf(state, network, bridge);
  if (current) return { endpoint: current, changes: [] };
  const id = idOf(state, network, bridge);
  const endpoint: Endpoint = {
    id,
    network: network.id,
    peer: state.self,
    addresses: [],
    mac: hashMac(id),
    owner: 'weave',
    ...freeShard(state, network.id),
    sandbox: { kind: 'bridge', bridge, interface: bridgedName(id) },
  };
  return { endpoint, changes: [{ table: 'endpoint', id, record: endpoint }] };
}
