import { isIPv6 } from 'node:net';
import { cidr, formatAddress, GATEWAY_PREFIX, type Observed } from '@weave/core';

/** One address of a family at most, without prefix length. */
export interface OwnAddresses {
  ipv4?: string;
  ipv6?: string;
}

/** Of these kinds none leads to other hosts by itself. */
const INNER_KINDS = new Set(['bridge', 'loopback', 'vxlan', 'dummy', 'ipvlan', 'macvlan']);

/**
 * The addresses that this host is reached at by others, as it is seen: on the link that its default route leads over,
 * whatever that is; else on the first that is not for its own containers. `explicit`: those that somebody chose.
 */
export function underlayAddresses(host: Observed, explicit: readonly string[] = []): OwnAddresses {
  const chosen = explicit.length > 0 ? explicit : [addressOf(host, false), addressOf(host, true)];
  const [ipv4, ipv6] = [false, true].map((v6) => chosen.find((address) => address && isIPv6(address) === v6));
  return { ...(ipv4 ? { ipv4 } : {}), ...(ipv6 ? { ipv6 } : {}) };
}

function addressOf({ links, routes, addresses }: Observed, v6: boolean): string | undefined {
  const everything = v6 ? '::/0' : '0.0.0.0/0';
  const isOurs = (name: string) => name.startsWith(GATEWAY_PREFIX);
  const first = routes.find(({ destination, link }) => destination === everything && link && !isOurs(link))?.link;
  const outer = links.filter(({ name, kind, up }) => up && !isOurs(name) && !INNER_KINDS.has(kind));
  const order = [...(first ? [first] : []), ...outer.map(({ name }) => name)];
  const usable = addresses
    .map(({ link, address }) => ({ link, address: formatAddress(cidr(address)) }))
    .filter(({ address }) => isIPv6(address) === v6 && !isLocal(address));
  return order.flatMap((name) => usable.filter(({ link }) => link === name))[0]?.address;
}

/** Of the loopback, or of one link only. */
const isLocal = (address: string) => /^(127\.|169\.254\.|::1$|fe[89ab])/.test(address);
