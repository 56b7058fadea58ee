import { type Cidr, cidr, contains, covers, formatAddress, formatCidr, hostBounds } from './address.ts';
import { type AddressRequest, mustBeHost } from './address-request.ts';
import { mustBeUnused } from './endpoints.ts';
import { fail } from './errors.ts';
import { lowestFree, mustBeFree } from './ipam.ts';
import type { Endpoint, Network, Subnet } from './model.ts';
import type { State } from './state.ts';

/**
 * What an endpoint's addresses are to be, beside those that it has, and in the order of asking those that were asked for;
 * no request at all is `net:default`. Throws WEAVE_ADDRESS_IN_USE, WEAVE_POOL_EXHAUSTED, WEAVE_ENGINE_IPAM.
 */
export function grant(
  state: State,
  network: Network,
  requests: readonly AddressRequest[],
  current: Endpoint | undefined,
): { addresses: string[]; granted: string[] } {
  const addresses = [...(current?.addresses ?? [])];
  const granted: string[] = [];
  for (const request of requests.length ? requests : [{ kind: 'default' } as const])
    for (const text of resolve(state, network, request, { owner: current?.id, addresses })) {
      if (!addresses.includes(text)) addresses.push(text);
      granted.push(text);
    }
  return { addresses, granted };
}

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
