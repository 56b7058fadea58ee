import {
  adoptNetwork,
  type Change,
  createNetwork,
  forgetNetwork,
  growNetwork,
  type Network,
  removeNetwork,
  takenIn,
  unbindNetwork,
} from '@weave/core';
import type { Host } from '../host.ts';
import type { Weave } from '../weave.ts';
import { hostRoutes } from './pools.ts';

export function networkVerbs(host: Host): Weave['networks'] {
  const { state } = host;
  const idsOn = (network: string) => state.endpointsOf(network).map((e) => e.id);

  /** Where other hosts have it too, it goes everywhere, or where it is in use nowhere. */
  async function forget(id: string): Promise<void> {
    const shared = unbindNetwork(state, id);
    if (!shared) return host.carryOut({ changes: forgetNetwork(state, id), networks: [id], endpoints: idsOn(id) });
    const { network, changes } = shared;
    await host.carryOut({ changes, endpoints: changes.flatMap((c) => (c.table === 'endpoint' ? c.id : [])) });
    if (!state.cluster) return;
    await host.decide(
      () => removeNetwork(state, network.id),
      (decided) => host.carryOut({ changes: decided.changes, networks: [network.id] }),
    );
  }

  /** Who is on it may have come and gone while the other hosts were asked. */
  const asOfNow = (grown: Network, changes: readonly Change[]): Change[] => [
    ...changes.filter(({ table }) => table !== 'endpoint'),
    ...takenIn(state, state.networks.get(grown.id) ?? grown, grown),
  ];

  return {
    create: (spec) =>
      host.define(
        async () => {
          const avoid = spec.subnets?.length ? [] : await hostRoutes(host);
          return () => createNetwork(state, spec, { now: host.clock(), avoid });
        },
        async ({ network, changes }) => {
          await host.carryOut({ changes, networks: [network.id] });
          return network;
        },
      ),
    list: async () => [...state.networks.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    inspect: async (idOrName) => {
      const network = state.network(idOrName);
      return { ...network, endpoints: state.endpointsOf(network.id) };
    },
    grow: (idOrName, subnet) =>
      host.define(
        async () => () => growNetwork(state, idOrName, subnet, host.clock()),
        async ({ network, changes }) => {
          if (changes.length > 0) await host.carryOut({ changes: asOfNow(network, changes), networks: [network.id] });
          return network;
        },
      ),
    remove: (idOrName) =>
      host.define(
        async () => () => removeNetwork(state, idOrName),
        ({ network, changes }) => host.carryOut({ changes, networks: [network.id] }),
      ),
    adopt: (spec) =>
      host.define(
        async () => () => ({ changes: adoptNetwork(state, spec) }),
        ({ changes }) => host.carryOut({ changes, networks: [spec.id] }),
      ),
    forget: (id) => host.inTurn('networks', () => forget(id)),
  };
}
