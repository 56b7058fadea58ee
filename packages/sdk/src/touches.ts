import {
  type Change,
  type Consequences,
  type Endpoint,
  hasGateway,
  type Network,
  type State,
  type Touched,
} from '@weave/core';
import type { WeaveEvent } from './weave.ts';

/* What changes mean for others than the kernel's links. */

interface Touch extends Touched {
  changes: readonly Change[];
  published?: readonly string[];
}

/** Whether what a verb touches has Weave for its gateway, or is this host itself: only then is the packet filter concerned. */
export function touchesFirewall(
  state: State,
  { changes, networks = [], endpoints = [], published = [] }: Touch,
  also: Consequences,
): boolean {
  const isHost = (endpoint: Endpoint | null | undefined) => endpoint?.sandbox?.kind === 'host';
  if (changes.some((c) => c.table === 'endpoint' && (isHost(c.record) || isHost(state.endpoints.get(c.id)))))
    return true;
  const ports = [...endpoints, ...published].map((id) => state.endpoints.get(id)).filter((e) => e?.ports?.length);
  const touched: (Network | undefined)[] = [...networks, ...also.networks, ...ports.map((e) => e!.network)].map((id) =>
    state.networks.get(id),
  );
  return touched.some((network) => network && hasGateway(network));
}

/** Endpoints that came to a network meanwhile that is now taken back: the kernel refuses them as it refused the network. */
export const orphans = (state: State, undo: readonly Change[]): Change[] =>
  undo
    .filter((change) => change.table === 'network' && change.record === null)
    .flatMap(({ id }) => state.endpointsOf(id))
    .map(({ id }) => ({ table: 'endpoint', id, record: null }));

export function eventOf(state: State, { table, id, record }: Change): WeaveEvent[] {
  // What an engine has of a network is part of it.
  if (table === 'binding') return [{ type: 'network', id: record?.network ?? state.boundTo(id), action: 'changed' }];
  if (table !== 'network' && table !== 'endpoint' && table !== 'name' && table !== 'peer') return [];
  const { networks: network, endpoints: endpoint, names: name, peers: peer } = state;
  const existed = { network, endpoint, name, peer }[table].has(id);
  return [{ type: table, id, action: record === null ? 'removed' : existed ? 'changed' : 'created' }];
}
