import { adoptNetwork, createNetwork, forgetNetwork, removeNetwork } from '@weave/core';
import type { Host } from '../host.ts';
import type { Weave } from '../weave.ts';
import { hostRoutes } from './pools.ts';

export function networkVerbs(host: Host): Weave['networks'] {
  const { state } = host;
  const idsOn = (network: string) => state.endpointsOf(network).map((e) => e.id);
  return {
    create: (spec) =>
      host.inTurn('networks', async () => {
        const avoid = spec.subnets?.length ? [] : await hostRoutes(host);
        const { network, changes } = createNetwork(state, spec, { now: host.clock(), avoid });
        await host.carryOut({ changes, networks: [network.id] });
        return network;
      }),
    list: async () => [...state.networks.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    inspect: async (idOrName) => {
      const network = state.network(idOrName);
      return { ...network, endpoints: state.endpointsOf(network.id) };
    },
    remove: (idOrName) =>
      host.inTurn('networks', async () => {
        const { network, changes } = removeNetwork(state, idOrName);
        await host.carryOut({ changes, networks: [network.id] });
      }),
    adopt: (spec) =>
      host.inTurn('networks', () => host.carryOut({ changes: adoptNetwork(state, spec), networks: [spec.id] })),
    forget: (id) =>
      host.inTurn('networks', () =>
        host.carryOut({ changes: forgetNetwork(state, id), networks: [id], endpoints: idsOn(id) }),
      ),
  };
}
