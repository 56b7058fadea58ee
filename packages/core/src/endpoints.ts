import { type Address, address, cidr, formatAddress, formatCidr } from './address.ts';
import { isSame } from './directory.ts';
import { type NamedContainer, naming } from './dns.ts';
import { dnsAddressFor, inSandbox, leadsToDns } from './dns-address.ts';
import { fail } from './errors.ts';
import { learnLease, mustBeOwn } from './ipam.ts';
import type { Change, Endpoint, Network, PublishedPort } from './model.ts';
import { addressMac, hashMac } from './names.ts';
import type { State } from './state.ts';

const ID = /^[0-9a-f]{64}$/;
const MAC = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/;

export interface EndpointSpec {
  id: string;
  network: string;
  /** With prefix lengths. */
  addresses: readonly string[];
  /** Absent: derived from the first address. */
  mac?: string | undefined;
}

/**
 * An engine's endpoint, attached nowhere yet. The same one made twice is a success. Throws WEAVE_NETWORK_NOT_FOUND,
 * WEAVE_ADDRESS_IN_USE, WEAVE_ENDPOINT_EXISTS.
 */
export function createEndpoint(state: State, spec: EndpointSpec): { endpoint: Endpoint; changes: Change[] } {
  if (!ID.test(spec.id)) fail('WEAVE_INVALID_REQUEST', `${JSON.stringify(spec.id)} is not an endpoint id`);
  const network = state.network(spec.network);
  const addresses = spec.addresses.map((text) => formatCidr(cidr(text)));
  if (addresses.length === 0) fail('WEAVE_INVALID_REQUEST', 'an endpoint needs an address');
  const endpoint: Endpoint = {
    id: spec.id,
    network: network.id,
    peer: state.self,
    addresses,
    mac: spec.mac ? checkMac(spec.mac) : freeMac(state, network.id, spec.id, cidr(addresses[0]!)),
    owner: 'docker',
    ...freeShard(state, network.id),
  };
  const existing = state.endpoints.get(spec.id);
  if (existing) return sameOrFail(existing, endpoint);
  for (const text of addresses) {
    mustBeUnused(state, network, cidr(text));
    mustBeOwnPooled(state, network, cidr(text));
  }
  if (spec.mac) mustBeOwnMac(state, network, endpoint.mac);
  // An engine that calls again after we died is still holding what we may have given up meanwhile.
  const leases = addresses.flatMap((text) => learnLease(state, network, formatAddress(cidr(text))));
  return { endpoint, changes: [...leases, { table: 'endpoint', id: endpoint.id, record: endpoint }] };
}

function sameOrFail(existing: Endpoint, wanted: Endpoint) {
  const plain = ({ addresses }: Endpoint) => addresses.map((text) => formatAddress(cidr(text))).join();
  // The subnet may have grown meanwhile.
  const same = existing.network === wanted.network && plain(existing) === plain(wanted);
  if (!same)
    fail('WEAVE_ENDPOINT_EXISTS', `endpoint ${wanted.id} exists with other addresses: ${existing.addresses.join(' ')}`);
  return { endpoint: existing, changes: [] };
}

function checkMac(given: string): string {
  const mac = given.toLowerCase();
  // The group bit: a multicast address is no station's.
  if (!MAC.test(mac) || Number.parseInt(mac.slice(0, 2), 16) & 1)
    fail('WEAVE_INVALID_REQUEST', `${given} is not a MAC address`);
  return mac;
}

/**
 * Far below the 1,023 that a bridge can have (BR_MAX_PORTS): each port that is added walks over all that are there
 * (`br_features_recompute`). The first bridge has room left for 700 others.
 */
const BRIDGE_ROOM = 250;

/** The first bridge of a network with room, as the part of an endpoint's record that says so. */
export function freeShard(state: State, network: string): { shard?: number } {
  const shards = state.shardsOf(network);
  const full = (shard: number) => (shards[shard] ?? 0) >= BRIDGE_ROOM;
  let shard = 0;
  while (full(shard)) shard++;
  return shard === 0 ? {} : { shard };
}

/** Whether an endpoint that is not recorded yet will be the first on its bridge, which then has to be made. */
export const opensShard = (state: State, { network, peer, shard = 0 }: Endpoint): boolean =>
  peer === state.self && shard > 0 && !state.shardsOf(network)[shard];

/** What an endpoint that Weave itself gives is, whatever its end: as it was, but for its addresses. */
export function givenEndpoint(state: State, network: Network, { id, current, addresses }: Given) {
  return {
    id,
    network: network.id,
    peer: state.self,
    addresses,
    mac: current?.mac ?? freeMac(state, network.id, id, cidr(addresses[0]!)),
    owner: 'weave' as const,
    ...(current ? (current.shard ? { shard: current.shard } : {}) : freeShard(state, network.id)),
  };
}

interface Given {
  id: string;
  current: Endpoint | undefined;
  addresses: string[];
}

/** The address's own MAC, unless an endpoint kept it that had the address before. */
export function freeMac(state: State, network: string, endpoint: string, addr: Address): string {
  const mac = addressMac(addr);
  const owner = state.macOwner(network, mac);
  return owner === undefined || owner === endpoint ? mac : hashMac(endpoint);
}

export function mustBeUnused(state: State, network: Network, addr: Address): void {
  const text = formatAddress(addr);
  const owner = state.addressOwner(network.id, text);
  const isGateway = network.subnets.some((s) => s.gateway === text && network.gateway === 'weave');
  if (!owner && !isGateway) return;
  const who = owner ? holderOf(state, owner) : 'the gateway';
  fail('WEAVE_ADDRESS_IN_USE', `${text} on network ${network.name} is in use by ${who}`);
}

function mustBeOwnPooled(state: State, network: Network, addr: Address): void {
  const pool = state.subnetOf(network, addr)?.pool;
  if (pool) mustBeOwn(state, pool, addr);
}

/** A bridge sends what is for a MAC to one of its ports: of two that have the same, the other hears nothing. */
function mustBeOwnMac(state: State, network: Network, mac: string): void {
  const owner = state.macOwner(network.id, mac);
  if (!owner) return;
  fail('WEAVE_ADDRESS_IN_USE', `MAC ${mac} on network ${network.name} is in use by ${holderOf(state, owner)}`);
}

/** Who has an endpoint, for people. */
export function holderOf(state: State, id: string): string {
  const { container, peer, sandbox } = state.endpoint(id);
  if (sandbox?.kind === 'host') return 'this host itself';
  if (sandbox?.kind === 'bridge') return `bridge ${sandbox.bridge} of this host`;
  const where = peer === state.self ? '' : ` on host ${state.peers.get(peer)?.name ?? peer}`;
  return `container ${container?.name ?? id.slice(0, 12)}${where}`;
}

/** Publishes exactly these host ports for an endpoint. Throws WEAVE_PORT_IN_USE, WEAVE_ENDPOINT_NOT_FOUND. */
export function publishPorts(state: State, id: string, wanted: readonly PublishedPort[]): Change[] {
  const { ports: old = [], ...rest } = state.endpoint(id);
  const ports = wanted.map(checkPort);
  for (const port of ports) mustBeUnpublished(state, id, port);
  if (JSON.stringify(old) === JSON.stringify(ports)) return [];
  return [{ table: 'endpoint', id, record: ports.length > 0 ? { ...rest, ports } : rest }];
}

/** Its address is written into a packet filter: it has to be one, in its one spelling. */
function checkPort(port: PublishedPort): PublishedPort {
  for (const number of [port.port, port.hostPort])
    if (!Number.isInteger(number) || number < 1 || number > 65535)
      fail('WEAVE_INVALID_REQUEST', `${number} is not a port`);
  if (port.hostAddress === undefined) return port;
  return { ...port, hostAddress: formatAddress(address(port.hostAddress)) };
}

function mustBeUnpublished(state: State, id: string, wanted: PublishedPort): void {
  const clashes = (port: PublishedPort) =>
    port.hostPort === wanted.hostPort &&
    port.protocol === wanted.protocol &&
    (!port.hostAddress || !wanted.hostAddress || port.hostAddress === wanted.hostAddress);
  const holder = [...state.endpoints.values()].find((other) => other.id !== id && other.ports?.some(clashes));
  if (!holder) return;
  const who = holder.container?.name ?? holder.id.slice(0, 12);
  fail('WEAVE_PORT_IN_USE', `host port ${wanted.hostPort}/${wanted.protocol} is published by container ${who}`);
}

/** Whether a sandbox has a route for multicast by this endpoint. */
const hasMulticast = (state: State, { sandbox, network }: Endpoint) =>
  sandbox?.kind === 'engine' ? sandbox.multicast : (state.networks.get(network)?.multicast ?? false);

/**
 * An engine will take the endpoint's interface into its sandbox `key`, which is the namespace `netns` where it is there
 * already. Done twice it is a success. A sandbox can have each route only once, whatever the networks.
 */
export function joinEndpoint(
  state: State,
  id: string,
  key: string,
  netns?: string,
): { endpoint: Endpoint; changes: Change[] } {
  const current = state.endpoint(id);
  const others = inSandbox(state, netns ? [key, netns] : [key]).filter((e) => e.id !== id);
  const multicast = state.networks.get(current.network)!.multicast && !others.some((e) => hasMulticast(state, e));
  const dns = dnsAddressFor(state, current) !== undefined && !others.some((e) => leadsToDns(state, e));
  const endpoint: Endpoint = { ...current, sandbox: { kind: 'engine', key, multicast, ...(dns ? { dns } : {}) } };
  return { endpoint, changes: [{ table: 'endpoint', id, record: endpoint }] };
}

/** The endpoint stays, its interface goes, and nobody calls it any more. Unknown ids are a success. */
export function leaveEndpoint(state: State, id: string): Change[] {
  const current = state.endpoints.get(id);
  if (!current?.sandbox) return [];
  const { sandbox: _, ports: __, names, services: ___, ...rest } = current;
  // That it is to have none stays so.
  return [{ table: 'endpoint', id, record: { ...rest, ...(names?.length === 0 ? { names } : {}) } }];
}

/** Unknown ids are a success. */
export const deleteEndpoint = (state: State, id: string): Change[] =>
  state.endpoints.has(id) ? [{ table: 'endpoint', id, record: null }] : [];

/** An endpoint with what runs in it, and how that is called, unless it is not to be. */
export function withName(state: State, endpoint: Endpoint, named: NamedContainer): Endpoint {
  const { names, services: _, ...rest } = endpoint;
  const container = { id: named.id, name: named.name };
  const isUnnamed = names?.length === 0;
  return { ...rest, container, ...naming(state.domain, named, endpoint.id), ...(isUnnamed ? { names } : {}) };
}

/** Learns that of one that an engine made: the driver protocol does not say. */
export function nameEndpoint(state: State, id: string, named: NamedContainer): Change[] {
  const current = state.endpoints.get(id);
  const record = current && withName(state, current, named);
  return !record || isSame(current, record) ? [] : [{ table: 'endpoint', id, record }];
}

/** It is called by no name: for now, or for good. */
export function unnameEndpoint(state: State, id: string, { forGood = false } = {}): Change[] {
  const current = state.endpoints.get(id);
  if (!current?.names?.length) return [];
  const { names: _, ...rest } = current;
  return [{ table: 'endpoint', id, record: { ...rest, ...(forGood ? { names: [] } : {}) } }];
}
