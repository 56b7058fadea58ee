import { type Cidr, formatCidr, hostBounds, parseCidr, sizeOf, subnet } from './address.ts';
import { fail } from './errors.ts';

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

export function mustBeHost(addr: Cidr, within: Cidr, text: string): void {
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
