import { CellNeeded, cidr, DEFAULT_NETWORK, fail, sizeOf } from '@weave/core';
import type { Cluster } from '../cluster/cluster.ts';
import { lacksRoom, type PoolUse, peerCalled, poolUses, removePeer } from '../cluster/peers.ts';
import type { Host } from '../host.ts';
import type { Weave } from '../weave.ts';

/** What a host is asked of the others. One that is alone is a cluster of one. */
export function clusterVerbs(host: Host): Weave['cluster'] {
  const { state } = host;
  const joined = (): Cluster => host.cluster ?? fail('WEAVE_NOT_CLUSTERED', `this host is alone`);
  return {
    peers: async () =>
      [...state.peers.values()]
        .map(({ id, name, underlay, mtu }) => ({
          ...{ id, name },
          ...(underlay ? { underlay } : {}),
          ...(mtu ? { mtu } : {}),
          self: id === state.self,
          alive: id === state.self || (host.cluster?.alive.has(id) ?? false),
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    pools: async () => (host.cluster && state.cluster ? poolUses(host.cluster.context) : aloneWith(host)),
    remove: async (peer) => {
      const { context } = joined();
      return removePeer(context, peerCalled(context, peer));
    },
    prime: async () => {
      if (!host.cluster) return;
      await host.cluster.joined();
      for (const { pool, within } of lacksRoom(host.cluster.context, DEFAULT_NETWORK))
        await host.cluster.provide(new CellNeeded(pool, cidr(within), `no address of ${within} is this host’s`));
    },
    rebuild: async () => joined().rebuild(),
  };
}

/** Alone, everything is this host's. */
function aloneWith({ state }: Host): PoolUse[] {
  const name = state.peers.get(state.self)?.name ?? '';
  return [...state.pools.values()].map(({ id, cidr: text }) => {
    const size = String(sizeOf(cidr(text)));
    const network = state.networkOfPool(id)?.name;
    return {
      ...{ cidr: text, size, stale: false },
      ...(network ? { network } : {}),
      holdings: [{ peer: state.self, name, addresses: size }],
    };
  });
}
