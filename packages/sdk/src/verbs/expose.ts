import {
  addName,
  announcements,
  DEFAULT_NETWORK,
  detach,
  expose,
  exposureOf,
  HOST,
  parseAddressRequest,
  removeNames,
} from '@weave/core';
import type { Host } from '../host.ts';
import type { Attachment, Weave } from '../weave.ts';

/** The host itself on networks. */
export function exposeVerbs(host: Host): Pick<Weave, 'expose' | 'hide'> {
  const { state } = host;

  async function carryOut({ endpoint, granted, changes }: ReturnType<typeof expose>): Promise<Attachment> {
    const announce = announcements(endpoint, granted);
    await host.carryOut({ changes, endpoints: [endpoint.id], announce });
    const { id, mac, sandbox } = endpoint;
    return {
      endpoint: id,
      network: state.networks.get(endpoint.network)!.name,
      interface: sandbox?.kind === 'host' ? sandbox.interface : '',
      mac,
      addresses: granted,
    };
  }

  return {
    async expose(addresses = [], { network = DEFAULT_NETWORK, masquerade = true, name } = {}) {
      const requests = addresses.map(parseAddressRequest);
      return host.inTurn(HOST, () =>
        host.decide(() => {
          const decided = expose(state, state.network(network), requests, masquerade);
          const named = name === undefined ? [] : addName(state, { name, addresses: decided.granted });
          return { ...decided, changes: [...decided.changes, ...named] };
        }, carryOut),
      );
    },
    async hide(addresses = [], { network = DEFAULT_NETWORK } = {}) {
      const requests = addresses.map(parseAddressRequest);
      return host.inTurn(HOST, async () => {
        const endpoint = exposureOf(state, state.network(network));
        const { removed, changes } = detach(state, endpoint, requests);
        if (!endpoint) return removed;
        const unnamed = state.domain === undefined ? [] : removeNames(state, { addresses: removed });
        await host.carryOut({ changes: [...changes, ...unnamed], endpoints: [endpoint.id] });
        return removed;
      });
    },
  };
}
