import { CellNeeded, cidr, DEFAULT_NETWORK, fail, sizeOf } from '@weave/core';
import type { Cluster } from '../cluster/cluster.ts';
import { lacksRoom, mustBeGone, peerCalled, poolUses, removePeer } from '../cluster/peers.ts';
import type { Company } from '../company.ts';
import type { Host } from '../host.ts';
import type { PoolUse, Weave } from '../weave.ts';
import { joined, rebuild } from './rebuild.ts';

/** What a host is asked of the others. One that is alone is a cluster of one. */
export function clusterVerbs(host: Host, company: Company): Weave['cluster'] {
  const { state } = host;
  const managed = () =>
    company.sharing?.managed ??
    fail('WEAVE_NOT_CLUSTERED', 'this host finds the others by the store that it was given', {
      hint: 'Start every host with the same --store; then nothing has to be connected.',
    });
  return {
    peers: async () =>
      [...state.peers.values()]
        .map(({ id, name, underlay, mtu }) => ({
          ...{ id, name },
          ...(underlay ? { underlay } : {}),
          ...(mtu ? { mtu } : {}),
          self: id === state.self,
          alive: id === state.self || (company.cluster?.alive.has(id) ?? false),
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    pools: async () => (company.cluster && state.cluster ? poolUses(company.cluster.context) : aloneWith(host)),
    remove: async (name) => {
      const { context } = joined(company);
      const peer = peerCalled(context, name);
      await mustBeGone(context, peer);
      // First, so that it can be asked for again where the rest fails.
      await company.sharing?.managed?.remove(peer.id);
      return removePeer(context, peer);
    },
    prime: async () => {
      await company.sharing?.joined();
      // Another may take its place meanwhile, as the store moves.
      for (let { cluster } = company; cluster; { cluster } = company)
        try {
          return await primed(cluster);
        } catch (error) {
          if (company.cluster === cluster) throw error;
        }
    },
    rebuild: () => rebuild(company),
    connect: async (peers, { replace = false } = {}) => void (await managed().connect(peers, { replace })),
    forget: async (peers) => managed().forget(peers),
    targets: async () =>
      (company.sharing?.managed?.status().targets ?? []).map(({ address, state: reach, error }) => ({
        ...{ address, state: reach },
        ...(error ? { problem: error.message } : {}),
      })),
    connections: async () => {
      const traffic = new Map((await company.sharing?.traffic())?.map((each) => [each.address, each]));
      const none = { packets: 0, bytes: 0 };
      return (company.sharing?.paths() ?? []).map(({ peer, address, state: reach, mtu, rttMs, ...path }) => ({
        ...{ peer, name: state.peers.get(peer)?.name ?? peer, address, state: reach },
        ...{ since: path.since, lossRatio: path.lossRatio, terminations: path.terminations },
        ...(mtu ? { mtu } : {}),
        ...(rttMs === undefined ? {} : { rttMs }),
        sent: traffic.get(address)?.sent ?? none,
        received: traffic.get(address)?.received ?? none,
      }));
    },
  };
}

async function primed(cluster: Cluster): Promise<void> {
  await cluster.joined();
  for (const { pool, within } of lacksRoom(cluster.context, DEFAULT_NETWORK))
    await cluster.provide(new CellNeeded(pool, cidr(within), `no address of ${within} is this host’s`));
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
      active: state.poolIndex(id).taken.size,
    };
  });
}
