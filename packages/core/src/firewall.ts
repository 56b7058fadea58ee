import { type Cidr, cidr, formatAddress, formatCidr, networkOf } from './address.ts';
import { hasGateway } from './desired.ts';
import { exposures, plain } from './expose.ts';
import type { Endpoint, Network, PublishedPort, Sandbox } from './model.ts';
import { gatewayName } from './names.ts';
import { isHere } from './overlay.ts';
import type { State } from './state.ts';

/**
 * What the host's own packet filter must do for networks whose gateway is Weave, and for those that the host is itself
 * on. Others need nothing of it: their frames never enter the host's namespace.
 */
export interface FirewallRules {
  /** One a network. */
  readonly gateways: readonly { link: string; subnets: readonly string[] }[];
  readonly ports: readonly PortForward[];
  /** Where the host itself is on a network. */
  readonly exposed?: readonly Exposed[];
}

export interface Exposed {
  readonly link: string;
  /** Those that it has an address of. */
  readonly subnets: readonly string[];
  /** Of them, those whose containers are known elsewhere by the host's address, and others in them by it. */
  readonly masqueraded: readonly string[];
}

export interface PortForward extends PublishedPort {
  readonly link: string;
  /** Of the container, in one family; without prefix length. */
  readonly address: string;
}

/** Undefined when there is no such network, and the host is on none: then nothing of ours is in the packet filter. */
export function desiredFirewall(state: State): FirewallRules | undefined {
  const networks = [...state.networks.values()].filter((network) => hasGateway(network) && isHere(state, network));
  const exposed = exposures(state).map(exposedBy);
  if (networks.length === 0 && exposed.length === 0) return undefined;
  return {
    gateways: networks.map(({ id, subnets }) => ({ link: gatewayName(id), subnets: subnets.map((s) => s.cidr) })),
    ports: networks.flatMap((network) => forwards(state, network)),
    ...(exposed.length > 0 ? { exposed } : {}),
  };
}

function exposedBy({ sandbox, addresses }: Endpoint): Exposed {
  const { interface: link, direct = [] } = sandbox as Extract<Sandbox, { kind: 'host' }>;
  const subnetsOf = (of: readonly string[]) => [...new Set(of.map((text) => formatCidr(networkOf(cidr(text)))))];
  const subnets = subnetsOf(addresses);
  return { link, subnets, masqueraded: subnetsOf(addresses.filter((text) => !direct.includes(plain(text)))) };
}

function forwards(state: State, network: Network): PortForward[] {
  return state.endpointsOf(network.id).flatMap(({ ports = [], sandbox, addresses }) =>
    (sandbox ? ports : []).flatMap((port) =>
      firstOfEachFamily(addresses.map(cidr))
        .filter((a) => !port.hostAddress || port.hostAddress.includes(':') === (a.family === 6))
        .map((a) => ({ ...port, link: gatewayName(network.id), address: formatAddress(a) })),
    ),
  );
}

/** With what else is to stay as it is; where both say something of a port, `rules` do. */
export function withLeftover(rules?: FirewallRules, leftover?: FirewallRules): FirewallRules | undefined {
  if (!rules || !leftover) return rules ?? leftover;
  const { gateways, ports } = leftover;
  return { ...rules, gateways: [...rules.gateways, ...gateways], ports: [...rules.ports, ...ports] };
}

/** The ports that `forwards` publish for these addresses of a network. On all addresses of the host it is one. */
export function publishedOf(
  forwards: readonly PortForward[],
  network: string,
  addresses: readonly string[],
): PublishedPort[] {
  const plain = addresses.map((text) => formatAddress(cidr(text)));
  const ports = new Map<string, PublishedPort>();
  for (const { link, address, hostAddress = '', ...port } of forwards) {
    if (link !== gatewayName(network) || !plain.includes(address)) continue;
    const isAnywhere = ['', '0.0.0.0', '::'].includes(hostAddress);
    const key = JSON.stringify([port, isAnywhere || hostAddress]);
    ports.set(key, isAnywhere && ports.has(key) ? port : { ...port, ...(hostAddress ? { hostAddress } : {}) });
  }
  return [...ports.values()];
}

const firstOfEachFamily = (addresses: Cidr[]) =>
  ([4, 6] as const).flatMap((family) => addresses.find((a) => a.family === family) ?? []);
