import { address, type Family } from './address.ts';
import { DEFAULT_MTU } from './model.ts';

/** What VXLAN adds to a packet: IP, UDP and its own header, and the Ethernet header inside. */
export const VXLAN_OVERHEAD: Readonly<Record<Family, number>> = { 4: 20 + 8 + 8 + 14, 6: 40 + 8 + 8 + 14 };

/** IPv6 wants no less of a link (RFC 8200 §5), and the kernel turns it off on one that has less. */
export const LEAST_MTU = 1280;

/** An underlay path, and the largest packet that was found to get through. */
export interface MeasuredPath {
  readonly address: string;
  readonly mtu?: number | undefined;
}

/**
 * The largest packet that a network may send over each of these paths: what a host publishes. Undefined while none is
 * known; one that is not, among others that are, counts as having room for {@link DEFAULT_MTU}.
 */
export function roomOf(paths: readonly MeasuredPath[]): number | undefined {
  const rooms = paths.map(({ address: to, mtu }) => mtu && mtu - VXLAN_OVERHEAD[address(to).family]);
  return rooms.some((room) => room !== undefined) ? leastOf(rooms) : undefined;
}

/**
 * The MTU of a network, from what its members published, in whatever order it is heard: an explicit one; else what fits
 * between all of them; 1430 while nothing is known. Never less than 1280: what the underlay cannot take whole then, the
 * kernel cuts on its way out, where that is over IPv4; over IPv6 it cuts nothing, and such a path has to be larger.
 */
export const networkMtu = (explicit: number | undefined, rooms: readonly (number | undefined)[]): number =>
  explicit ?? Math.max(LEAST_MTU, leastOf(rooms));

const leastOf = (rooms: readonly (number | undefined)[]): number =>
  rooms.length === 0 ? DEFAULT_MTU : Math.min(...rooms.map((room) => room ?? DEFAULT_MTU));
