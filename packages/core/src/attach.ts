import { cidr, contains, formatCidr } from './address.ts';
import type { AddressRequest } from './address-request.ts';
import { isSame } from './directory.ts';
import { type NamedContainer, whoIsThere } from './dns.ts';
import { givenEndpoint } from './endpoints.ts';
import { grant } from './grant.ts';
import type { Change, Endpoint, HostsEntries, Network } from './model.ts';
import { attachName, hashId } from './names.ts';
import type { State } from './state.ts';

/** A namespace to attach: its path, its identity (the kernel's cookie for it), and the container it is of, if one. */
export interface AttachTarget {
  path: string;
  id: string;
  container?: NamedContainer | undefined;
  /** It is not to have names. */
  isUnnamed?: boolean | undefined;
}

/** What is not said stays as it is. */
export interface AttachSettings {
  noMulticast?: boolean | undefined;
  awaited?: boolean | undefined;
  hosts?: HostsEntries | undefined;
}

/** The endpoint that this target has on this network, if any. */
export function attachmentOf(state: State, network: Network, target: AttachTarget): Endpoint | undefined {
  const candidates = [
    ...state.endpointsIn(target.id),
    ...(target.container ? state.endpointsIn(target.container.id) : []),
  ];
  return candidates.find((e) => e.network === network.id && e.owner === 'weave');
}

/**
 * Puts `target` on a network with these addresses, beside those that it has there. Asking for what is there changes
 * nothing; no request at all is `net:default`. Throws WEAVE_ADDRESS_IN_USE, WEAVE_POOL_EXHAUSTED, WEAVE_ENGINE_IPAM.
 */
export function attach(
  state: State,
  network: Network,
  target: AttachTarget,
  requests: readonly AddressRequest[],
  { noMulticast, awaited, hosts }: AttachSettings = {},
) {
  const current = attachmentOf(state, network, target);
  const { addresses, granted } = grant(state, network, requests, current);
  const who = whoIsThere(state, current, target);
  const id = current?.id ?? hashId('attach', network.id, target.container?.id ?? target.id);
  const endpoint: Endpoint = {
    ...givenEndpoint(state, network, { id, current, addresses }),
    sandbox: { kind: 'netns', path: target.path, id: target.id, interface: interfaceOf(current, network, target) },
    ...who,
    ...((noMulticast ?? current?.noMulticast) ? { noMulticast: true } : {}),
    ...((awaited ?? current?.awaited) ? { awaited: true } : {}),
    ...withHosts(current?.hosts, hosts),
  };
  const changes: Change[] = isSame(current, endpoint) ? [] : [{ table: 'endpoint', id, record: endpoint }];
  return { endpoint, granted, changes };
}

function withHosts(had: HostsEntries | undefined, given: HostsEntries | undefined): Pick<Endpoint, 'hosts'> {
  if (!had && !given) return {};
  const own = given?.own ?? had?.own;
  const others = [...new Set([...(had?.others ?? []), ...(given?.others ?? [])])];
  return { hosts: { ...(own ? { own } : {}), others } };
}

/** It keeps its name for as long as it stays where it is, also when its network is given another. */
const interfaceOf = (current: Endpoint | undefined, network: Network, target: AttachTarget): string =>
  current?.sandbox?.kind === 'netns' && current.sandbox.id === target.id
    ? current.sandbox.interface
    : attachName(network);

/**
 * Takes these addresses away, or all of them; the endpoint goes with its last one. Addresses that are not there are
 * passed over. Answers what it took.
 */
export function detach(state: State, endpoint: Endpoint | undefined, requests: readonly AddressRequest[]) {
  if (!endpoint) return { removed: [], changes: [] as Change[] };
  const going = (text: string) =>
    requests.length === 0 || requests.some((request) => matches(state, endpoint, request, text));
  const removed = endpoint.addresses.filter(going);
  const addresses = endpoint.addresses.filter((text) => !going(text));
  const record = addresses.length > 0 ? { ...endpoint, addresses } : null;
  const changes: Change[] = removed.length > 0 ? [{ table: 'endpoint', id: endpoint.id, record }] : [];
  return { removed, changes };
}

function matches(state: State, endpoint: Endpoint, request: AddressRequest, text: string): boolean {
  if (request.kind === 'exact') return text === formatCidr(request.cidr);
  if (request.kind === 'subnet') return cidr(text).length === request.cidr.length && contains(request.cidr, cidr(text));
  return state.networks
    .get(endpoint.network)!
    .subnets.some((s) => cidr(s.cidr).length === cidr(text).length && contains(cidr(s.cidr), cidr(text)));
}
