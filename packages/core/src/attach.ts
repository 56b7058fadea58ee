import {
  type Cidr,
  cidr,
  contains,
  covers,
  formatAddress,
  formatCidr,
  hostBounds,
  parseCidr,
  sizeOf,
  subnet,
} from './address.ts';
import { isSame } from './directory.ts';
import { type NamedContainer, whoIsThere } from './dns.ts';
import { freeMac, freeShard, mustBeUnused } from './endpoints.ts';
import { fail } from './errors.ts';
import { lowestFree, mustBeFree } from './ipam.ts';
import type { Change, Endpoint, Network, Subnet } from './model.ts';
import { attachName, hashId } from './names.ts';
import type { State } from './state.ts';

/** What `weave attach` may be given for an address. */
export type AddressRequest =
  | { kind: 'exact'; cidr: Cidr }
  | { kind: 'subnet'; cidr: Cidr }
  /** One address of each family of the network. */
  | { kind: 'default' };

/** `10.2.1.1/24`, `ip:10.2.1.1/24`, `net:10.2.0.0/16`, `net:default`. Throws WEAVE_INVALID_ADDRESS, WEAVE_INVALID_SUBNET. */
export function parseAddressRequest(text: string): AddressRequest {
  if (text === 'net:default') return { kind: 'default' };
  if (text.startsWith('net:')) {
    const parsed = subnet(text.slice(4));
    if (sizeOf(parsed) < 4n) fail('WEAVE_INVALID_SUBNET', `${text} is smaller than the minimum of 4 addresses`);
    return { kind: 'subnet', cidr: parsed };
  }
  const parsed = parseCidr(text.startsWith('ip:') ? text.slice(3) : text);
  if (!parsed) fail('WEAVE_INVALID_ADDRESS', `${text} is not an address with a prefix length`);
  mustBeHost(parsed, parsed, text);
  return { kind: 'exact', cidr: parsed };
}

function mustBeHost(addr: Cidr, within: Cidr, text: string): void {
  const { first, last } = hostBounds(within);
  if (addr.value < first || addr.value > last)
    fail(
      'WEAVE_INVALID_ADDRESS',
      `${text} is the network or broadcast address of ${formatCidr({ ...within, value: first - 1n })}`,
    );
  if (addr.family === 4 && (addr.value >> 24n === 127n || addr.value >> 28n >= 14n || addr.value >> 24n === 0n))
    fail('WEAVE_INVALID_ADDRESS', `${text} is not a unicast address`);
  // Multicast, unspecified and loopback, link-local, and IPv4 addresses in IPv6 clothes.
  const isSpecial = [
    addr.value >> 120n === 0xffn,
    addr.value <= 1n,
    addr.value >> 118n === 0x3fan,
    addr.value >> 32n === 0xffffn,
  ];
  if (addr.family === 6 && isSpecial.includes(true))
    fail('WEAVE_INVALID_ADDRESS', `${text} is not a global unicast address`);
}

/** A namespace to attach: its path, its identity (the kernel's cookie for it), and the container it is of, if one. */
export interface AttachTarget {
  path: string;
  id: string;
  container?: NamedContainer | undefined;
  /** It is not to have names. */
  isUnnamed?: boolean | undefined;
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
export function attach(state: State, network: Network, target: AttachTarget, requests: readonly AddressRequest[]) {
  const current = attachmentOf(state, network, target);
  const addresses = [...(current?.addresses ?? [])];
  const granted: string[] = [];
  for (const request of requests.length ? requests : [{ kind: 'default' } as const])
    for (const text of resolve(state, network, request, { owner: current?.id, addresses })) {
      if (!addresses.includes(text)) addresses.push(text);
      granted.push(text);
    }
  const who = whoIsThere(state, current, target);
  const id = current?.id ?? hashId('attach', network.id, target.container?.id ?? target.id);
  const endpoint: Endpoint = {
    id,
    network: network.id,
    peer: state.self,
    addresses,
    mac: current?.mac ?? freeMac(state, network.id, id, cidr(addresses[0]!)),
    owner: 'weave',
    ...(current ? (current.shard ? { shard: current.shard } : {}) : freeShard(state, network.id)),
    sandbox: { kind: 'netns', path: target.path, id: target.id, interface: interfaceOf(current, network, target) },
    ...who,
  };
  const changes: Change[] = isSame(current, endpoint) ? [] : [{ table: 'endpoint', id, record: endpoint }];
  return { endpoint, granted, changes };
}

/** It keeps its name for as long as it stays where it is, also when its network is given another. */
const interfaceOf = (current: Endpoint | undefined, network: Network, target: AttachTarget): string =>
  current?.sandbox?.kind === 'netns' && current.sandbox.id === target.id
    ? current.sandbox.interface
    : attachName(network);

interface Holder {
  owner: string | undefined;
  addresses: readonly string[];
}

function resolve(state: State, network: Network, request: AddressRequest, holder: Holder): string[] {
  if (request.kind === 'exact') return [claim(state, network, request.cidr, holder)];
  if (request.kind === 'subnet') return [allocate(state, network, request.cidr, holder)];
  const firsts = ([4, 6] as const).flatMap(
    (family) => network.subnets.find((s) => cidr(s.cidr).family === family) ?? [],
  );
  return firsts.map((s) => allocate(state, network, cidr(s.cidr), holder));
}

function claim(state: State, network: Network, wanted: Cidr, { owner, addresses }: Holder): string {
  const text = formatCidr(wanted);
  if (addresses.includes(text)) return text;
  const plain = formatAddress(wanted);
  if (addresses.some((other) => other.startsWith(`${plain}/`)))
    fail('WEAVE_ADDRESS_IN_USE', `the container has ${plain} already, with another prefix length`, {
      hint: 'Detach that address first.',
    });
  mustBeUnused(state, network, wanted);
  const home = state.subnetOf(network, wanted);
  if (!home) return text;
  mustBeHost(wanted, cidr(home.cidr), text);
  mustBeFree(state, poolOf(network, home), wanted, owner);
  return text;
}

function allocate(state: State, network: Network, window: Cidr, { addresses }: Holder): string {
  const had = addresses.find((text) => cidr(text).length === window.length && contains(window, cidr(text)));
  if (had) return had;
  const home = network.subnets.find((s) => covers(cidr(s.cidr), window));
  if (!home)
    fail(
      'WEAVE_INVALID_SUBNET',
      `${formatCidr(window)} is not inside ${network.subnets.map((s) => s.cidr).join(' or ')} of network ${network.name}`,
      {
        hint: 'Give an exact address, or create a network with this subnet.',
      },
    );
  const pool = poolOf(network, home);
  const whole = home.cidr === formatCidr(window);
  const mine = new Set(addresses.map((text) => cidr(text).value));
  // A window narrower than the subnet is a subnet to its containers: its first and last address are not hosts there.
  const addr = whole
    ? lowestFree(state, pool, undefined, mine)
    : lowestFree(state, pool, window, mine.union(edges(window)));
  return formatCidr({ ...addr, length: window.length });
}

function edges(window: Cidr): Set<bigint> {
  const { first, last } = hostBounds(window);
  return new Set(window.family === 4 ? [first - 1n, last + 1n] : [first - 1n]);
}

/** The pool of a subnet whose addresses Weave hands out. */
const poolOf = (network: Network, { cidr: text, pool }: Subnet): string =>
  pool ??
  fail('WEAVE_ENGINE_IPAM', `the addresses of ${text} on network ${network.name} are handed out by the Docker engine`);

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
