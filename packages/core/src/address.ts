import { fail } from './errors.ts';

export type Family = 4 | 6;

/** One IPv4 or IPv6 address. Text form is canonical: dotted decimal, or RFC 5952. */
export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

/** An address with its prefix length: `10.2.1.1/24`. As a subnet its host bits are zero. */
export interface Cidr extends Address {
  readonly length: number;
}

const BITS: Record<Family, number> = { 4: 32, 6: 128 };

/** No leading zeros: "010" is octal eight to some resolvers and ten to others. */
const V4 = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

function parseV4(text: string): bigint | undefined {
  const parts = V4.exec(text);
  if (!parts) return undefined;
  let value = 0;
  for (let at = 1; at <= 4; at++) {
    const part = Number(parts[at]);
    if (part > 255) return undefined;
    value = value * 256 + part;
  }
  return BigInt(value);
}

/** The 16-bit groups of one side of a "::"; only the last group of an address may be written as dotted decimal. */
function parseGroups(text: string, endsAddress: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (endsAddress && index === parts.length - 1 && part.includes('.')) {
      const v4 = parseV4(part);
      if (v4 === undefined) return undefined;
      groups.push(Number(v4 >> 16n), Number(v4 & 0xffffn));
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

function parseV6(text: string): bigint | undefined {
  const [left, right, ...more] = text.split('::');
  if (more.length > 0) return undefined;
  const head = parseGroups(left!, right === undefined);
  const tail = parseGroups(right ?? '', true);
  if (!head || !tail) return undefined;
  if (right === undefined) return join(head);
  const gap = 8 - head.length - tail.length;
  return gap < 1 ? undefined : join([...head, ...new Array<number>(gap).fill(0), ...tail]);
}

const join = (groups: number[]) =>
  groups.length === 8 ? groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n) : undefined;

/** The address that `text` says, or undefined where it says none. */
export function parseAddress(text: string): Address | undefined {
  const family: Family = text.includes(':') ? 6 : 4;
  const value = family === 4 ? parseV4(text) : parseV6(text);
  return value === undefined ? undefined : { family, value };
}

/** An address with a prefix length, host bits kept. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? '' : text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (!address || !/^(0|[1-9]\d{0,2})$/.test(length) || Number(length) > BITS[address.family]) return undefined;
  return { ...address, length: Number(length) };
}

/** As {@link parseAddress}, of text that was checked before: a record of ours. */
export const address = (text: string): Address =>
  parseAddress(text) ?? fail('WEAVE_INVALID_ADDRESS', `${text} is not an IP address`);

/** As {@link parseCidr}; throws WEAVE_INVALID_ADDRESS. */
export const cidr = (text: string): Cidr =>
  parseCidr(text) ?? fail('WEAVE_INVALID_ADDRESS', `${text} is not an address with a prefix length`);

/** A subnet: as {@link cidr}, and its host bits are zero. Throws WEAVE_INVALID_SUBNET. */
export function subnet(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed) fail('WEAVE_INVALID_SUBNET', `${text} is not a subnet`);
  const network = networkOf(parsed);
  if (network.value !== parsed.value)
    fail('WEAVE_INVALID_SUBNET', `${text} has bits set after its prefix`, {
      hint: `The subnet is ${formatCidr(network)}.`,
    });
  return parsed;
}

function formatV6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(112 - 16 * index)) & 0xffffn));
  let best = { at: -1, run: 1 };
  for (let at = 0; at < 8; at++) {
    let run = 0;
    while (at + run < 8 && groups[at + run] === 0) run++;
    if (run > best.run) best = { at, run };
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  return best.at < 0 ? hex(groups) : `${hex(groups.slice(0, best.at))}::${hex(groups.slice(best.at + best.run))}`;
}

export function formatAddress({ family, value }: Address): string {
  if (family === 6) return formatV6(value);
  const v = Number(value);
  return `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}`;
}

export const formatCidr = (c: Cidr): string => `${formatAddress(c)}/${c.length}`;

/** How many addresses a prefix spans. */
export const sizeOf = (c: Cidr): bigint => 1n << BigInt(BITS[c.family] - c.length);

export const networkOf = (c: Cidr): Cidr => ({ ...c, value: c.value - (c.value % sizeOf(c)) });

export const contains = (outer: Cidr, inner: Address): boolean =>
  outer.family === inner.family && (outer.value ^ inner.value) >> BigInt(BITS[outer.family] - outer.length) === 0n;

export const covers = (outer: Cidr, inner: Cidr): boolean => outer.length <= inner.length && contains(outer, inner);

export const overlaps = (a: Cidr, b: Cidr): boolean => covers(a, b) || covers(b, a);

/**
 * The first and last value a host may have in `window`, a part of `subnet`: never the subnet's own address (IPv6: the
 * subnet-router anycast address, RFC 4291 §2.6.1), nor an IPv4 broadcast address; /31, /32, /127 and /128 are all hosts.
 */
export function hostBounds(subnet: Cidr, window: Cidr = subnet): { first: bigint; last: bigint } {
  const network = networkOf(subnet).value;
  const end = network + sizeOf(subnet) - 1n;
  const small = sizeOf(subnet) <= 2n;
  const first = networkOf(window).value;
  const last = first + sizeOf(window) - 1n;
  return {
    first: !small && first === network ? first + 1n : first,
    last: !small && subnet.family === 4 && last === end ? last - 1n : last,
  };
}

/** As the kernel will spell it, or it would look wrong there for ever. */
export function spelled(text: string | undefined): string | undefined {
  const address = text === undefined ? undefined : parseAddress(text);
  return address && formatAddress(address);
}
