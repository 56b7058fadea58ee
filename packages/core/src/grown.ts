import { type Cidr, cidr, contains, covers, formatCidr } from './address.ts';
import { type Op, SWITCH } from './kernel.ts';
import type { Change, Network, Subnet } from './model.ts';
import { portName } from './names.ts';
import type { State } from './state.ts';

/** Whether a network is another one with subnets that have grown. */
export const isGrownFrom = (network: Network, before: Network): boolean =>
  network.subnets.length === before.subnets.length &&
  network.subnets.every((s, index) => {
    const { cidr: text, pool, gateway } = before.subnets[index]!;
    return s.pool === pool && s.gateway === gateway && covers(cidr(s.cidr), cidr(text));
  });

/** This host's own endpoints as they are in the larger subnets; to be applied after these. */
export const takenIn = (state: State, before: Network, grown: Network): Change[] =>
  state.endpointsOf(grown.id).flatMap((endpoint): Change[] => {
    if (endpoint.peer !== state.self || endpoint.owner === 'docker') return [];
    const addresses = endpoint.addresses.map((text) => widened(before, grown, text));
    const isSame = addresses.every((text, index) => text === endpoint.addresses[index]);
    return isSame ? [] : [{ table: 'endpoint', id: endpoint.id, record: { ...endpoint, addresses } }];
  });

const homeOf = ({ subnets }: Network, addr: Cidr): Subnet | undefined =>
  subnets.find((s) => contains(cidr(s.cidr), addr));

/** With the prefix length of its subnet, where it had that; a part of a subnet keeps its own. */
function widened(before: Network, grown: Network, text: string): string {
  const addr = cidr(text);
  const [was, is] = [homeOf(before, addr), homeOf(grown, addr)];
  return was && is && cidr(was.cidr).length === addr.length
    ? formatCidr({ ...addr, length: cidr(is.cidr).length })
    : text;
}

/** An interface that an engine set up with the prefix length that a subnet had then. */
export interface Outgrown {
  readonly endpoint: string;
  readonly from: string;
  readonly to: string;
  readonly op: Op;
}

/** What engines set up on this host before subnets grew, and do not set again: their records are as they set it. */
export function outgrown(state: State): Outgrown[] {
  const grown = new Set([...state.pools.values()].filter((pool) => pool.grownFrom).map(({ id }) => id));
  if (grown.size === 0) return [];
  const networks = [...state.networks.values()].filter((n) => n.subnets.some((s) => grown.has(s.pool ?? '')));
  return networks.flatMap((network) =>
    state.endpointsOf(network.id).flatMap((endpoint) => {
      const { id, peer, sandbox, addresses } = endpoint;
      if (peer !== state.self || sandbox?.kind !== 'engine') return [];
      return addresses.flatMap((from): Outgrown[] => {
        const home = homeOf(network, cidr(from));
        const to = home?.pool ? formatCidr({ ...cidr(from), length: cidr(home.cidr).length }) : from;
        const op: Op = { op: 'setPeer', netns: SWITCH, name: portName(id), peer: sandbox.key, address: to };
        return to === from ? [] : [{ endpoint: id, from, to, op }];
      });
    }),
  );
}

/** That is done. */
export function caughtUp(state: State, { endpoint: id, from, to }: Outgrown): Change[] {
  const endpoint = state.endpoints.get(id);
  if (!endpoint?.addresses.includes(from)) return [];
  const addresses = endpoint.addresses.map((text) => (text === from ? to : text));
  return [{ table: 'endpoint', id, record: { ...endpoint, addresses } }];
}
