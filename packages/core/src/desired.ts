import { address as addressOf, cidr, contains, formatAddress } from './address.ts';
import { networkAlias } from './alias.ts';
import { desiredDns, wayToDns } from './dns-address.ts';
import { HOST, type Op, type Resource, SWITCH } from './kernel.ts';
import { type Endpoint, MULTICAST_ROUTE, type Network, type Sandbox } from './model.ts';
import {
  bridgeName,
  gatewayMac,
  gatewayName,
  handoverName,
  networkMac,
  portName,
  rootPortName,
  trunkName,
  uplinkName,
} from './names.ts';
import { desiredOverlay, gatewayOnOverlay, isHere, onOverlay } from './overlay.ts';
import type { State } from './state.ts';

/*
   host namespace                  switch namespace                    container namespaces

   weavegw… ────────veth──────── wu…┐
   (gateway=weave only)             │
   weave ───────────veth──────── wv…┤
   (weave expose)                   │
                                  wb… bridge, one per network and 250 ports
                                    │ │ └─ wv… ─────veth───────────── ethwe        (weave attach)
   wh… ─────────────veth──────── wv…┘ └─── wx… VXLAN to other hosts
   (an engine moves wh… into its sandbox)
*/

/** A part of desired state that stands or falls alone: the switch, one network, or one endpoint. */
export interface Unit {
  readonly key: string;
  /** In the order in which they can be made. */
  readonly resources: readonly Resource[];
}

/** Bridges only switch here: nothing is routed between networks, and no firewall sees their frames. */
export const desiredSwitch = (): Unit => ({
  key: 'switch',
  resources: [
    sysctl('net/ipv4/ip_forward', '0'),
    sysctl('net/ipv6/conf/all/disable_ipv6', '1'),
    sysctl('net/ipv6/conf/default/disable_ipv6', '1'),
    // br_netfilter would hand bridged frames to iptables; absent unless its module is loaded.
    ...['iptables', 'ip6tables', 'arptables'].map((table) => sysctl(`net/bridge/bridge-nf-call-${table}`, '0', true)),
  ],
});

const sysctl = (key: string, value: string, ifPresent = false): Resource => ({
  op: 'setSysctl',
  netns: SWITCH,
  key,
  value,
  ...(ifPresent ? { ifPresent } : {}),
});

export const hasGateway = (network: Network): boolean => network.gateway === 'weave' && !network.internal;

/** Nothing for a network that was made on another host, until it has an endpoint here. */
export function desiredNetwork(state: State, network: Network): Unit {
  const { id, mtu } = network;
  if (!isHere(state, network)) return { key: `network/${id}`, resources: [] };
  const alias = networkAlias(state, network);
  const bridge = { op: 'addBridge', netns: SWITCH, mac: networkMac(id), mtu } as const;
  const resources: Resource[] = [{ ...bridge, name: bridgeName(id), ...(alias ? { alias } : {}) }];
  for (let shard = 1; shard < state.shardsOf(id).length; shard++) resources.push(...furtherBridge(network, shard));
  // Before the gateway, whose name in the host's namespace may be a stranger's.
  resources.push(...desiredDns(state, network), ...desiredOverlay(state, network));
  if (hasGateway(network)) resources.push(...gateway(network), ...gatewayOnOverlay(state, network));
  return { key: `network/${id}`, resources };
}

/** Joined to the first one by a pair of its own: a star, so that there is no loop. */
function furtherBridge({ id, mtu }: Network, shard: number): Resource[] {
  const name = bridgeName(id, shard);
  const peer = { netns: SWITCH, name: trunkName(id, shard), mtu, master: name, up: true };
  return [
    { op: 'addBridge', netns: SWITCH, name, mac: networkMac(`${id}/${shard}`), mtu },
    { op: 'addVeth', netns: SWITCH, name: rootPortName(id, shard), mtu, master: bridgeName(id), up: true, peer },
  ];
}

function gateway({ id, mtu, subnets }: Network): Resource[] {
  const link = gatewayName(id);
  const peer = { netns: HOST, name: link, mtu, mac: gatewayMac(id), up: true };
  const uplink = { netns: SWITCH, name: uplinkName(id), mtu, master: bridgeName(id), up: true } as const;
  return [
    // Isolated as the VXLAN device is: every host has this gateway, and none hears of another's.
    { op: 'addVeth', ...uplink, isolated: true, peer },
    // So that a port published on 127.0.0.1 can be translated to the container.
    { op: 'setSysctl', netns: HOST, key: `net/ipv4/conf/${link}/route_localnet`, value: '1' },
    ...subnets
      .filter((s) => s.gateway)
      .map((s): Resource => ({ op: 'addAddress', netns: HOST, link, address: `${s.gateway}/${cidr(s.cidr).length}` })),
  ];
}

/** The key of an endpoint's unit. */
export const unitOf = ({ id }: Endpoint): string => `endpoint/${id}`;

/** Nothing for an endpoint that is attached nowhere, or is another host's. */
export function desiredEndpoint(state: State, endpoint: Endpoint): Unit {
  const unit = { key: unitOf(endpoint) };
  const network = state.networks.get(endpoint.network);
  if (!network || endpoint.peer !== state.self) return { ...unit, resources: [] };
  return { ...unit, resources: attached(state, network, endpoint) };
}

function attached(state: State, network: Network, endpoint: Endpoint): Resource[] {
  switch (endpoint.sandbox?.kind) {
    case 'engine':
      return handover(network, endpoint, endpoint.sandbox);
    case 'netns':
      return attachment(state, network, endpoint, endpoint.sandbox);
    case 'host':
      return exposure(network, endpoint, endpoint.sandbox);
    case 'bridge':
      return bridging(network, endpoint, endpoint.sandbox);
    default:
      return [];
  }
}

/** What the overlay has of an endpoint, of this host or of another. A unit of its own: its interface may be held up. */
export const desiredEntries = (state: State, endpoint: Endpoint): Unit => ({
  key: `entries/${endpoint.id}`,
  resources: onOverlay(state, endpoint),
});

type Of<K extends Sandbox['kind']> = Extract<Sandbox, { kind: K }>;

const port = (network: Network, { id, shard }: Endpoint) =>
  ({
    op: 'addVeth',
    netns: SWITCH,
    name: portName(id),
    mtu: network.mtu,
    master: bridgeName(network.id, shard),
    up: true,
  }) as const;

/** The engine finishes the work: it moves the link, names it, gives it its addresses and brings it up. */
function handover(network: Network, endpoint: Endpoint, { key }: Of<'engine'>): Resource[] {
  const { id, mac } = endpoint;
  const far = { netns: HOST, name: handoverName(id), mtu: network.mtu, mac, up: false, goesTo: key };
  return [{ ...port(network, endpoint), peer: far }];
}

function attachment(state: State, network: Network, endpoint: Endpoint, sandbox: Of<'netns'>): Resource[] {
  const { path: netns, interface: link } = sandbox;
  return [
    { ...port(network, endpoint), peer: { netns, name: link, mtu: network.mtu, mac: endpoint.mac, up: true } },
    ...endpoint.addresses.map((address): Resource => ({ op: 'addAddress', netns, link, address })),
    ...(hasGateway(network) ? defaultRoutes(network, endpoint).map((r): Resource => ({ ...r, netns, link })) : []),
    ...wayToDns(state, endpoint),
    ...(network.multicast && !endpoint.noMulticast
      ? [{ op: 'addRoute', netns, link, destination: MULTICAST_ROUTE, ifAbsent: true } as const]
      : []),
    // Last: what waits for all of the above waits for this number, which the kernel keeps for whoever wants one.
    ...(endpoint.awaited ? [{ op: 'setSysctl', netns, key: `net/ipv4/conf/${link}/tag`, value: '1' } as const] : []),
  ];
}

/** The host hears no router of a network of containers: each of them could say that it is one. */
function exposure(network: Network, endpoint: Endpoint, { interface: link }: Of<'host'>): Resource[] {
  const peer = { netns: HOST, name: link, mtu: network.mtu, mac: endpoint.mac, up: true };
  return [
    { ...port(network, endpoint), peer },
    { op: 'setSysctl', netns: HOST, key: `net/ipv6/conf/${link}/accept_ra`, value: '0', ifPresent: true },
    ...endpoint.addresses.map((address): Resource => ({ op: 'addAddress', netns: HOST, link, address })),
  ];
}

function bridging(network: Network, endpoint: Endpoint, { bridge, interface: name }: Of<'bridge'>): Resource[] {
  const peer = { netns: HOST, name, mtu: network.mtu, mac: endpoint.mac, master: bridge, up: true };
  return [{ ...port(network, endpoint), peer }];
}

/** Through each gateway that the endpoint's own prefixes reach, unless it has a way out already. */
const defaultRoutes = ({ subnets }: Network, { addresses }: Endpoint) =>
  subnets
    .flatMap(({ gateway }) => gateway ?? [])
    .filter((gateway) => addresses.some((text) => contains(cidr(text), addressOf(gateway))))
    .map((gateway) => {
      const destination = gateway.includes(':') ? '::/0' : '0.0.0.0/0';
      return { op: 'addRoute', destination, gateway, ifAbsent: true } as const;
    });

const isSomething = ({ resources }: Unit) => resources.length > 0;

/** Everything this host should have, parents first. */
export const desired = (state: State): Unit[] => [
  desiredSwitch(),
  ...[...state.networks.values()].map((network) => desiredNetwork(state, network)).filter(isSomething),
  ...[...state.endpoints.values()]
    .flatMap((endpoint) => [desiredEndpoint(state, endpoint), desiredEntries(state, endpoint)])
    .filter(isSomething),
];

/**
 * The units that links of the switch belong to, parents first. A network's come with its endpoints' entries; an
 * endpoint's port comes without, as looking at them is looking at all of them.
 */
export function unitsAt(state: State, links: readonly string[]): Unit[] {
  const changed = new Set(links);
  const endpoints = links.flatMap((link) => state.endpoints.get(state.endpointOfPort(link) ?? '') ?? []);
  for (const { id } of endpoints) changed.delete(portName(id));
  const networks = [...state.networks.values()].flatMap((network) => {
    const unit = desiredNetwork(state, network);
    const isAt = changed.size > 0 && unit.resources.flatMap(linksInSwitch).some((name) => changed.has(name));
    return isAt ? [unit, ...state.endpointsOf(network.id).map((each) => desiredEntries(state, each))] : [];
  });
  const attached = endpoints.map((endpoint) => desiredEndpoint(state, endpoint));
  return [...networks, ...attached].filter(isSomething);
}

function linksInSwitch(r: Resource): string[] {
  if (r.op !== 'addBridge' && r.op !== 'addVxlan' && r.op !== 'addVeth') return [];
  return [r.name, ...(r.op === 'addVeth' && r.peer.netns === SWITCH ? [r.peer.name] : [])];
}

/** What an attached endpoint's neighbours should be told after these addresses came. */
export function announcements({ network, sandbox }: Endpoint, addresses: readonly string[]): Op[] {
  if (sandbox?.kind !== 'netns' && sandbox?.kind !== 'host') return [];
  const netns = sandbox.kind === 'host' ? HOST : sandbox.path;
  const { interface: link } = sandbox;
  const bridge = bridgeName(network);
  return addresses.map((text) => ({ op: 'announce', netns, link, bridge, address: formatAddress(cidr(text)) }));
}
