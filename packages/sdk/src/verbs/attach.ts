import {
  type AttachSettings,
  type AttachTarget,
  announcements,
  attach,
  attachmentOf,
  DEFAULT_NETWORK,
  detach,
  fail,
  parseAddressRequest,
  removeNames,
} from '@weave/core';
import type { Engine } from '../engine.ts';
import type { Host } from '../host.ts';
import { hostsLine } from '../hosts.ts';
import { inBackground } from '../log.ts';
import { leaveLastRun, type NamedTarget, resolveTarget } from '../target.ts';
import { passOnDns } from '../way-to-dns.ts';
import type { Attachment, AttachOptions, Weave } from '../weave.ts';
import { rewriteHosts, withHosts } from './hosts.ts';

export function attachVerbs(host: Host, engine: Engine): Pick<Weave, 'attach' | 'detach'> {
  const { state, datapath } = host;

  async function on(
    target: AttachTarget,
    name: string,
    requests: ReturnType<typeof parseAddressRequest>[],
    settings: AttachSettings,
  ): Promise<Attachment> {
    return host.decide(
      // While others are asked the network may go.
      () => attach(state, state.network(name), target, requests, settings),
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
    await withHosts(host, target, endpoint, () => host.carryOut({ changes, endpoints: [endpoint.id], announce }));
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
    async attach(target, addresses = [], { network = DEFAULT_NETWORK, ...options } = {}) {
      const requests = addresses.map(parseAddressRequest);
      const others = (options.addHosts ?? []).map(hostsLine);
      state.network(network);
      const resolved = { ...(await resolveTarget(datapath, engine, target)), isUnnamed: options.withoutDns };
      const settings = settingsOf(resolved, options, others);
      return host.inTurn(turnOf(resolved), () => on(resolved, network, requests, settings));
    },
    async detach(target, addresses = [], { network = DEFAULT_NETWORK } = {}) {
      const requests = addresses.map(parseAddressRequest);
      const on = state.network(network);
      const resolved = await resolveTarget(datapath, engine, target);
      return host.inTurn(turnOf(resolved), async () => {
        leaveLastRun(host, attachmentOf(state, on, resolved), resolved.id);
        const endpoint = attachmentOf(state, on, resolved);
        const { removed, changes } = detach(state, endpoint, requests);
        if (!endpoint) return removed;
        if (changes.some(({ record }) => record === null)) await passOnDns(host, endpoint.id);
        const unnamed = state.domain === undefined ? [] : removeNames(state, { addresses: removed });
        await host.carryOut({ changes: [...changes, ...unnamed], endpoints: [endpoint.id] });
        if (endpoint.hosts)
          await inBackground(host.log, 'names could not be taken back', async () => rewriteHosts(host, resolved));
        return removed;
      });
    },
  };
}

function settingsOf(
  { names, container, waits }: NamedTarget,
  options: AttachOptions,
  others: string[],
): AttachSettings {
  const { multicast, rewriteHosts: own = false } = options;
  const isNamed = own || others.length > 0;
  if (isNamed && !container)
    fail('WEAVE_INVALID_REQUEST', 'names can be given to containers only', {
      hint: 'Name the container itself, or leave out --rewrite-hosts and --add-host.',
    });
  return {
    ...(multicast === false ? { noMulticast: true } : {}),
    ...(waits ? { awaited: true } : {}),
    ...(isNamed ? { hosts: { ...(own && names ? { own: names } : {}), others } } : {}),
  };
}

/** Verbs on one sandbox do not overlap. */
export const turnOf = (target: AttachTarget): string => target.container?.id ?? target.id;
