import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { type Address, formatAddress } from './address.ts';

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

const digest = (text: string) => sha256(utf8ToBytes(text));

/** `length` base-32 characters of the SHA-256 of `text`; 11 are 55 bits, and an interface name has room for 15. */
const hashName = (text: string, length = 11): string =>
  Array.from(digest(text).subarray(0, length), (byte) => BASE32[byte & 31]).join('');

/** 64 hex digits that identify what `parts` name together. */
export const hashId = (...parts: string[]): string =>
  digest(parts.join('\0')).reduce((hex, byte) => hex + byte.toString(16).padStart(2, '0'), '');

/** Those of a network are asked for with each of its endpoints. */
function remembered(make: (network: string) => string): (network: string) => string {
  const known = new Map<string, string>();
  return (network) => known.get(network) ?? known.set(network, make(network)).get(network)!;
}

const shardKey = (network: string, shard: number) => (shard === 0 ? network : `${network}/${shard}`);

/** Links in the switch namespace. */
export const bridgeName = (network: string, shard = 0) => bridgeNameOf(shardKey(network, shard));
const bridgeNameOf = remembered((key) => `wb${hashName(key)}`);
/** The pair that joins a further bridge of a network to its first: the end on the further one, and on the first. */
export const trunkName = (network: string, shard: number) => `wt${hashName(shardKey(network, shard))}`;
export const rootPortName = (network: string, shard: number) => `wr${hashName(shardKey(network, shard))}`;
export const vxlanName = remembered((network) => `wx${hashName(network)}`);
export const portName = (endpoint: string) => `wv${hashName(endpoint)}`;
/** The bridge's port that leads to the host, of a network whose gateway is Weave. */
export const uplinkName = (network: string) => `wu${hashName(network)}`;

/** Links in the host's namespace: what an engine moves into its sandbox, and the gateway of a network. */
export const handoverName = (endpoint: string) => `wh${hashName(endpoint)}`;
export const GATEWAY_PREFIX = 'weavegw';
export const gatewayName = (network: string) => `${GATEWAY_PREFIX}${hashName(network, 8)}`;

/** The container's interface for `weave attach`: `ethwe` on the default network, one of its own on each other. */
export function attachName(network: { id: string; name: string }): string {
  if (network.name === 'weave') return 'ethwe';
  return /^[a-z0-9]{1,9}$/.test(network.name) ? `ethwe-${network.name}` : `ethwe-${hashName(network.id, 9)}`;
}

/** The host's own interface for `weave expose`: `weave` on the default network. */
export const exposeName = (network: { id: string; name: string }): string =>
  attachName(network).replace('ethwe', 'weave');

/** The port of a bridge of the host's that leads to the network. */
export const bridgedName = (endpoint: string) => `weavebr${hashName(endpoint, 8)}`;

const mac = (bytes: number[]) => bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');

/**
 * A MAC that stays the same for an address: locally administered, unicast. An IPv4 address is in it whole, so that
 * two addresses of one network never share a MAC; of an IPv6 address 40 bits of its hash.
 */
export function addressMac(address: Address): string {
  if (address.family === 4) {
    const v = Number(address.value);
    return mac([0x5a, 0x77, v >>> 24, (v >>> 16) & 255, (v >>> 8) & 255, v & 255]);
  }
  return hashMac(formatAddress(address));
}

export const hashMac = (text: string): string => mac([0x5e, ...digest(text).subarray(0, 5)]);

/** The MAC of a network's bridge and gateway: the same on every host, so that a container may move. */
export const networkMac = (network: string): string => mac([0x52, ...digest(network).subarray(0, 5)]);

export const gatewayMac = (network: string): string => networkMac(`gateway ${network}`);

/** Where the search for a free VXLAN network identifier starts: 24 bits, never zero. */
export function vniSeed(network: string): number {
  const [a = 0, b = 0, c = 0] = digest(network);
  return (a << 16) | (b << 8) | c || 1;
}
