import { cidr, type EngineView, formatAddress, leaseId, rebuild, type State } from '@weave/core';
import type { Playground } from './playground.ts';

type NetworkView = EngineView['networks'][number];
type EndpointView = NetworkView['endpoints'][number];
export type KnownNetwork = Omit<NetworkView, 'endpoints'> & { endpoints: Map<string, EndpointView>; pool?: string };

/** What a Docker engine remembers: what it was answered, and has not ended since. */
export class Engine {
  readonly networks = new Map<string, KnownNetwork>();
  readonly leases = new Set<string>();
  /** Leases that it knows nothing of: the daemon died with the answer, or the engine gave up. */
  unheard = new Set<string>();
  /** Networks and endpoints that it does not list any more. */
  readonly ending = new Set<string>();

  view(): EngineView {
    const isThere = ({ id }: { id: string }) => !this.ending.has(id);
    const networks = [...this.networks.values()].filter(isThere);
    return { networks: networks.map((n) => ({ ...n, endpoints: [...n.endpoints.values()].filter(isThere) })) };
  }

  forgetEndpoint(network: KnownNetwork, id: string): void {
    for (const text of network.endpoints.get(id)?.addresses ?? []) this.leases.delete(leaseOf(network.pool, text));
    network.endpoints.delete(id);
  }

  forgetNetwork({ id, pool }: KnownNetwork): void {
    for (const lease of this.leases) if (lease.startsWith(`${pool} `)) this.leases.delete(lease);
    this.networks.delete(id);
  }
}

export const plain = (text: string) => formatAddress(cidr(text));
export const leaseOf = (pool: string | undefined, text: string) => leaseId(pool ?? '', plain(text));

/** The daemon asks the engine what there is. Answers whether that was news. */
export function report(w: Playground): boolean {
  const { state, engine } = w;
  engine.unheard = new Set([...state.leases.keys()].filter((id) => !engine.leases.has(id) && !isUsed(state, id)));
  const context = { now: w.now, before: new Set([...state.networks.keys(), ...state.endpoints.keys()]) };
  const changes = rebuild(state, engine.view(), context);
  w.commit(changes);
  const again = rebuild(state, engine.view(), context);
  if (again.length > 0) throw new Error(`told again, a view changes something: ${JSON.stringify(again)}`);
  return changes.length > 0;
}

function isUsed(state: State, id: string): boolean {
  const { pool, address } = state.leases.get(id)!;
  const network = state.networkOfPool(pool)?.id;
  return network !== undefined && state.addressOwner(network, address) !== undefined;
}
