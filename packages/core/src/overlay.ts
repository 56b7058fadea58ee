import { answersIpv6, silentIpv6 } from './dns-address.ts';
import { type Resource, SWITCH } from './kernel.ts';
import { type Endpoint, type Network, VXLAN_PORT } from './model.ts';
import { bridgeName, gatewayMac, uplinkName, vxlanName } from './names.ts';
import type { State } from './state.ts';

const FLOOD = '00:00:00:00:00:00';

/** Whether this host has anything of a network. */
export const isHere = (state: State, { id, origin = state.self }: Network): boolean =>
  origin === state.self || state.membersOf(id).has(state.self);

/** Whether a network has endpoints on this host and on others: only then does any frame of it leave this host. */
const isSpread = (state: State, network: string): boolean =>
  state.underlayOf(state.self) !== undefined &&
  state.networks.has(network) &&
  joinsOthers(state.self, state.membersOf(network));

export const joinsOthers = (self: string, members: { has(peer: string): boolean; readonly size: number }) =>
  members.has(self) && members.size > 1;

/** Where another host is reached; nowhere over the other family. */
function destinationOf(state: State, peer: string): string | undefined {
  const [from, to] = [state.underlayOf(state.self), state.underlayOf(peer)];
  return from?.includes(':') === to?.includes(':') ? to : undefined;
}

/** The VXLAN device, with one flood entry for each host that has endpoints of the network; not what is known of those. */
export function desiredOverlay(state: State, { id, vni, mtu, subnets }: Network): Resource[] {
  const local = state.underlayOf(state.self);
  if (!local || !isSpread(state, id)) return [];
  const [link, bridge] = [vxlanName(id), bridgeName(id)];
  const others = [...state.membersOf(id).keys()].filter((peer) => peer !== state.self);
  const flooded = new Set(others.flatMap((peer) => destinationOf(state, peer) ?? []));
  return [
    { op: 'addVxlan', netns: SWITCH, name: link, vni, port: VXLAN_PORT, mtu, master: bridge, local },
    // A bridge without IPv6 has no neighbours of that family (`ndisc_allow_add`): on, but without any address.
    ...(answersIpv6(state, { subnets }) ? [] : silentIpv6(bridge)),
    ...[...flooded]
      .sort()
      .map((destination): Resource => ({ op: 'addFdb', netns: SWITCH, link, mac: FLOOD, destination })),
  ];
}

/** ARP and ND for a gateway that every host has are for the own one: they are not flooded to others. */
export const gatewayOnOverlay = (state: State, { id, subnets }: Network): Resource[] =>
  isSpread(state, id)
    ? [
        { op: 'addFdb', netns: SWITCH, link: uplinkName(id), mac: gatewayMac(id) },
        ...subnets.flatMap(({ gateway }) => (gateway ? [neighbour(id, gateway, gatewayMac(id))] : [])),
      ]
    : [];

const neighbour = (network: string, address: string, mac: string): Resource => ({
  ...{ op: 'addNeighbour', netns: SWITCH, link: bridgeName(network), address, mac },
});

/**
 * Where an endpoint of another host is; and for each the neighbours from which the network's first bridge answers ARP
 * and ND (of another host's), or keeps them from the wire (of this one's). Whoever came last to an address has it.
 */
export function onOverlay(state: State, { id, network, peer, mac, addresses }: Endpoint): Resource[] {
  if (!isSpread(state, network)) return [];
  const known = addresses
    .map((text) => text.slice(0, text.indexOf('/')))
    .filter((address) => state.addressOwner(network, address) === id)
    .map((address) => neighbour(network, address, mac));
  if (peer === state.self) return known;
  const destination = destinationOf(state, peer);
  if (!destination || state.macOwner(network, mac) !== id) return [];
  return [{ op: 'addFdb', netns: SWITCH, link: vxlanName(network), mac, destination }, ...known];
}
