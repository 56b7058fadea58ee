import { cidr } from './address.ts';
import { type Resource, SWITCH } from './kernel.ts';
import { DNS_ADDRESS, type Endpoint, type Network } from './model.ts';
import { bridgeName } from './names.ts';
import type { State } from './state.ts';

/*
   The address at which containers ask for names is on every bridge: whoever is on a network reaches it, whatever else
   that network leads to. ARP and ND for it do not leave the host: a bridge keeps what is for its own address from a
   VXLAN device (`neigh_suppress`).
*/

const isIpv6 = (text: string) => text.includes(':');
export const hostRoute = (address: string) => `${address}/${isIpv6(address) ? 128 : 32}`;

/** Whether a network's bridges answer over IPv6. */
export const answersIpv6 = ({ domain }: State, { subnets }: Pick<Network, 'subnets'>): boolean =>
  domain !== undefined && subnets.some((subnet) => isIpv6(subnet.cidr));

/** A bridge has IPv6, but no address that it was not given. In this order: once it is on, it would give itself one. */
export const silentIpv6 = (bridge: string): Resource[] =>
  [
    ['addr_gen_mode', '1'],
    ['accept_ra', '0'],
    ['disable_ipv6', '0'],
  ].map(([key, value]) => ({ op: 'setSysctl', netns: SWITCH, key: `net/ipv6/conf/${bridge}/${key}`, value: value! }));

/** What comes in by a bridge from an address to which it does not lead back is not heard: who asks is told by it. */
const heard = (bridge: string): Resource => ({
  ...{ op: 'setSysctl', netns: SWITCH, key: `net/ipv4/conf/${bridge}/rp_filter`, value: '1' },
});

/** On a network's first bridge: the address, and the way back to who asked. */
export function desiredDns(state: State, network: Network): Resource[] {
  if (state.domain === undefined) return [];
  const link = bridgeName(network.id);
  const subnets = [...new Set(network.subnets.map((subnet) => subnet.cidr))];
  const families = ([4, 6] as const).filter((family) => subnets.some((text) => cidr(text).family === family));
  return [
    ...(answersIpv6(state, network) ? silentIpv6(link) : []),
    ...(families.includes(4) ? [heard(link)] : []),
    ...families.map(
      (family): Resource => ({ op: 'addAddress', netns: SWITCH, link, address: hostRoute(DNS_ADDRESS[family]) }),
    ),
    ...subnets.map((destination): Resource => ({ op: 'addRoute', netns: SWITCH, link, destination })),
  ];
}

/** The address of the DNS that an endpoint's interface leads to: of one family, as an answer tells of both. */
export function dnsAddressFor(state: State, { network, addresses }: Endpoint): string | undefined {
  const on = state.networks.get(network);
  if (state.domain === undefined || !on) return undefined;
  const family = ([4, 6] as const).find((each) =>
    [on.subnets.map((s) => s.cidr), addresses].every((texts) => texts.some((text) => isIpv6(text) === (each === 6))),
  );
  return family && DNS_ADDRESS[family];
}

/** What an attached endpoint needs to ask. Its sandbox may have the route over another interface already. */
export function wayToDns(state: State, endpoint: Endpoint): Resource[] {
  const address = dnsAddressFor(state, endpoint);
  if (!address || endpoint.sandbox?.kind !== 'netns') return [];
  const { path: netns, interface: link } = endpoint.sandbox;
  return [
    { op: 'addRoute', netns, link, destination: hostRoute(address), ifAbsent: true },
    ...outsiders(state, endpoint).map(
      (destination): Resource => ({
        ...{ op: 'addRoute', netns: SWITCH, link: bridgeName(endpoint.network), destination, ifAbsent: true },
      }),
    ),
  ];
}

/** Addresses that no subnet's route leads back to. */
const outsiders = (state: State, { network, addresses }: Endpoint): string[] =>
  addresses.flatMap((text) => {
    const isInside = state.subnetOf(state.networks.get(network)!, cidr(text)) !== undefined;
    return isInside ? [] : hostRoute(text.slice(0, text.indexOf('/')));
  });

/** Whether a sandbox has the route over this endpoint's interface, or over another one's where that was there before. */
export const leadsToDns = (state: State, endpoint: Endpoint): boolean =>
  endpoint.sandbox?.kind === 'engine' ? endpoint.sandbox.dns === true : wayToDns(state, endpoint).length > 0;

/** Who is in a sandbox, by any of its names. */
export const inSandbox = (state: State, names: readonly string[]): Endpoint[] => [
  ...new Set(names.flatMap((name) => state.endpointsIn(name))),
];

/** Who else is where an endpoint is. */
export function roommates(state: State, { id, sandbox, container }: Endpoint): Endpoint[] {
  const key = sandbox?.kind === 'engine' ? sandbox.key : sandbox?.kind === 'netns' ? sandbox.id : undefined;
  return inSandbox(
    state,
    [key, container?.id].flatMap((name) => name ?? []),
  ).filter((e) => e.id !== id && e.sandbox);
}

/** Over whose interface the sandbox of an endpoint that leaves is to have the route then. */
export function dnsHeir(state: State, leaving: Endpoint): Endpoint | undefined {
  if (!leadsToDns(state, leaving)) return undefined;
  const able = roommates(state, leaving).filter((e) => dnsAddressFor(state, e));
  return able.find((e) => leadsToDns(state, e)) ?? able[0];
}

/** Of each sandbox of an engine that has no such route one endpoint: it is older than the DNS. */
export function withoutDns(state: State): Endpoint[] {
  const lacking = [...state.endpoints.values()].filter(
    (e) =>
      e.peer === state.self &&
      e.sandbox?.kind === 'engine' &&
      dnsAddressFor(state, e) &&
      ![e, ...roommates(state, e)].some((each) => leadsToDns(state, each)),
  );
  return [...new Map(lacking.map((e) => [e.sandbox?.kind === 'engine' ? e.sandbox.key : '', e])).values()];
}
