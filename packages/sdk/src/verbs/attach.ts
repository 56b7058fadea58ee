import {
  type AttachTarget,
  announcements,
  attach,
  attachmentOf,
  DEFAULT_NETWORK,
  detach,
  parseAddressRequest,
} from '@weave/core';
import type { Engine } from '../engine.ts';
import type { Host } from '../host.ts';
import { leaveLastRun, resolveTarget } from '../target.ts';
import { passOnDns } from '../way-to-dns.ts';
import type { Attachment, Weave } from '../weave.ts';

export function attachVerbs(host: Host, engine: Engine): Pick<Weave, 'attach' | 'detach'> {
  const { state, datapath } = host;

  async function on(
    target: AttachTarget,
    name: string,
    requests: ReturnType<typeof parseAddressRequest>[],
  ): Promise<Attachment> {
    return host.decide(
      // While others are asked the network may go.
      () => attach(state, state.network(name), target, requests),
      (decided) => carryOut(target, decided),
    );
  }

  async function carryOut(
    target: AttachTarget,
    { endpoint, granted, changes }: ReturnType<typeof attach>,
  ): Promise<Attachment> {
    leaveLastRun(host, state.endpoints.get(endpoint.id), target.id);
    const network = state.networks.get(endpoint.network)!;
    const announce = announcements(endpoint, granted);
    await host.carryOut({ changes, endpoints: [endpoint.id], announce });
    const { id, mac, sandbox } = endpoint;
    return {
      endpoint: id,
      network: network.name,
      interface: sandbox?.kind === 'netns' ? sandbox.interface : '',
      mac,
      addresses: granted,
    };
  }

  return {
    async attach(target, addresses = [], { network = DEFAULT_NETWORK, withoutDns } = {}) {
      const requests = addresses.map(parseAddressRequest);
      state.network(network);
      const resolved = { ...(await resolveTarget(datapath, engine, target)), isUnnamed: withoutDns };
      return host.inTurn(turnOf(resolved), () => on(resolved, network, requests));
    },
    async detach(target, addresses = [], { network = DEFAULT_NETWORK } = {}) {
      const requests = addresses.map(parseAddressRequest);
      const on = state.network(network);
      const resolved = await resolveTarget(datapath, engine, target);
      return host.inTurn(turnOf(resolved), async () => {
        leaveLastRun(host, attachmentOf(state, on, resolved), resolved.id);
        const endpoint = attachmentOf(state, on, resolved);
        const { removed, changes } = detach(state, endpoint, requests);
        const goes = changes.some(({ record }) => record === null);
        if (endpoint && goes) await passOnDns(host, endpoint.id);
        if (endpoint) await host.carryOut({ changes, endpoints: [endpoint.id] });
        return removed;
      });
    },
  };
}

/** Verbs on one sandbox do not overlap. */
export const turnOf = (target: AttachTarget): string => target.container?.id ?? target.id;
