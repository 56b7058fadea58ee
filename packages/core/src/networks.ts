import { address, cidr, formatAddress, formatCidr, hostBounds, networkOf, overlaps, subnet } from './address.ts';
import { dropNetwork } from './directory.ts';
import { holderOf } from './endpoints.ts';
import { fail } from './errors.ts';
import { lowestFree, poolAt, releasePool, requestPool } from './ipam.ts';
import { type Change, leaseId, type Network, type Subnet } from './model.ts';
import { hashId, vniSeed } from './names.ts';
import { ENGINE_NETWORK_OPTIONS, NETWORK_OPTION, networkOptions } from './options.ts';
import type { State } from './state.ts';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;
const ID = /^[0-9a-z]{8,64}$/;
const VNI_SPACE = 2 ** 24 - 1;

export interface NetworkSpec {
  name: string;
  /** An engine's id for it; absent: derived from the name. */
  id?: string | undefined;
  /** Absent: one of each family is chosen. */
  subnets?: readonly SubnetSpec[] | undefined;
  /** As in `--opt`; see {@link NETWORK_OPTIONS}. */
  options?: Readonly<Record<string, string>> | undefined;
  internal?: boolean | undefined;
}

export interface SubnetSpec {
  cidr: string;
  /** Without prefix length. */
  gateway?: string | undefined;
  /** The part of it to hand out. */
  range?: string | undefined;
}

/** A network of Weave's own, with its pools. Throws WEAVE_NETWORK_EXISTS, WEAVE_SUBNET_OVERLAP and the invalid ones. */
export function createNetwork(state: State, spec: NetworkSpec, context: { now: number; avoid?: readonly string[] }) {
  if (!NAME.test(spec.name)) fail('WEAVE_INVALID_NAME', `${JSON.stringify(spec.name)} is not a network name`);
  if (state.hasNetworkNamed(spec.name)) fail('WEAVE_NETWORK_EXISTS', `there is a network ${spec.name} already`);
  const options = networkOptions(spec.options ?? {}, spec.internal ?? false);
  const wanted = spec.subnets?.length ? spec.subnets : ([{ family: 4 }, { family: 6 }] as const);
  const changes: Change[] = [];
  const subnets: Subnet[] = [];
  for (const each of wanted) {
    const family = 'family' in each ? each.family : subnet(each.cidr).family;
    const given = 'family' in each ? {} : { cidr: each.cidr, range: each.range };
    if (given.cidr !== undefined) mustBeDisjoint(subnets, given.cidr);
    const { pool, changes: made } = requestPool(state, { family, ...given, ...context });
    changes.push(...made);
    const gateway = 'family' in each ? undefined : each.gateway;
    subnets.push({ cidr: pool.cidr, pool: pool.id, ...gatewayOf(pool.cidr, gateway) });
  }
  const network = newNetwork(state, {
    ...spec,
    id: spec.id ?? hashId('network', spec.name),
    subnets,
    options,
    owner: 'weave',
    gatewayIn: (s) => hostBounds(cidr(s.cidr)).first,
  });
  // What is left over may be called as one that is made here: it goes before any of them is there.
  const all = [...changes.filter((c) => !isMadePool(c)), ...changes.filter(isMadePool)];
  all.push(...gatewayLeases(network.subnets), { table: 'network', id: network.id, record: network });
  return { network, changes: all };
}

const isMadePool = ({ table, record }: Change) => table === 'pool' && record !== null;

export function mustBeDisjoint(subnets: readonly Subnet[], text: string): void {
  const other = subnets.find((s) => overlaps(cidr(s.cidr), subnet(text)));
  if (other) fail('WEAVE_SUBNET_OVERLAP', `${text} overlaps ${other.cidr} of the same network`);
}

function gatewayOf(subnetText: string, wanted: string | undefined): { gateway?: string } {
  if (wanted === undefined) return {};
  const { family, value } = address(wanted);
  const { first, last } = hostBounds(cidr(subnetText));
  if (family !== cidr(subnetText).family || value < first || value > last)
    fail('WEAVE_INVALID_ADDRESS', `the gateway ${wanted} is not a host of ${subnetText}`);
  return { gateway: formatAddress({ family, value }) };
}

export interface EngineNetworkSpec {
  id: string;
  /** Unknown when an engine makes it: its driver protocol does not say. */
  name?: string | undefined;
  /** `cidr` with host bits or not; `gateway` with or without prefix length; `ours`: out of a pool of Weave's. */
  subnets: readonly { cidr: string; gateway?: string | undefined; ours: boolean }[];
  options: Readonly<Record<string, string>>;
  internal: boolean;
}

/** A network that an engine made. Made twice with the same id it is a success, and nothing changes. */
export function adoptNetwork(state: State, spec: EngineNetworkSpec): Change[] {
  if (!ID.test(spec.id)) fail('WEAVE_INVALID_REQUEST', `${JSON.stringify(spec.id)} is not a network id`);
  if (state.networks.has(state.boundTo(spec.id))) return [];
  const options = networkOptions(spec.options, spec.internal, ENGINE_NETWORK_OPTIONS);
  const existing = alreadyThere(state, spec);
  if (existing) return [{ table: 'binding', id: spec.id, record: { id: spec.id, network: existing.id } }];
  const subnets = spec.subnets.map((each): Subnet => {
    const text = formatCidr(networkOf(cidr(each.cidr)));
    const pool = poolAt(state, text)?.id;
    if (each.ours && !pool) fail('WEAVE_POOL_NOT_FOUND', `there is no address pool ${text}`);
    const gateway = each.gateway?.split('/')[0];
    return {
      cidr: text,
      ...(gateway ? { gateway: formatAddress(address(gateway)) } : {}),
      ...(each.ours && pool ? { pool } : {}),
    };
  });
  // An engine's names are its own: one that is taken here is not taken over.
  const name = [spec.name, spec.id.slice(0, 12)].find((each) => each && !state.hasNetworkNamed(each)) ?? spec.id;
  const gatewayIn = ({ cidr: text, pool }: Subnet) =>
    pool ? lowestFree(state, pool).value : hostBounds(cidr(text)).first;
  const network = newNetwork(state, { id: spec.id, name, subnets, options, owner: 'docker', gatewayIn });
  const chosen = network.subnets.filter((_, index) => subnets[index]?.gateway === undefined);
  return [...gatewayLeases(chosen), { table: 'network', id: network.id, record: network }];
}

/** The network that an engine names, or whose pools it was given: made on another host, or by hand. */
function alreadyThere(state: State, { options, subnets }: EngineNetworkSpec): Network | undefined {
  const name = options[NETWORK_OPTION];
  const pooled = subnets.flatMap((s) => (s.ours ? (poolAt(state, formatCidr(networkOf(cidr(s.cidr)))) ?? []) : []));
  const network = name ? state.network(name) : pooled.flatMap((pool) => state.networkOfPool(pool.id) ?? [])[0];
  const stranger = network && subnets.find((s) => !hasSubnet(state, network, s.cidr));
  if (stranger)
    fail('WEAVE_INVALID_SUBNET', `${stranger.cidr} is not a subnet of network ${network.name}`, {
      hint: `Its subnets are: ${network.subnets.map((s) => s.cidr).join(', ')}.`,
    });
  return network;
}

/** Also where an engine knows it as it was before it grew. */
function hasSubnet(state: State, { subnets }: Network, given: string): boolean {
  const text = formatCidr(networkOf(cidr(given)));
  const pool = poolAt(state, text)?.id;
  return subnets.some((s) => s.cidr === text || (pool !== undefined && s.pool === pool));
}

const gatewayLeases = (subnets: readonly Subnet[]): Change[] =>
  subnets.flatMap(({ pool, gateway }) =>
    pool && gateway ? { table: 'lease', id: leaseId(pool, gateway), record: { pool, address: gateway } } : [],
  );

interface NewNetwork {
  id: string;
  name: string;
  subnets: readonly Subnet[];
  options: ReturnType<typeof networkOptions>;
  owner: Network['owner'];
  /** What a subnet's gateway is where nobody has said it. */
  gatewayIn: (subnet: Subnet) => bigint;
}

function newNetwork(state: State, { id, name, subnets, options, owner, gatewayIn }: NewNetwork): Network {
  const network: Network = { id, name, vni: freeVni(vnisOf(state), id), subnets, ...options, owner };
  const needsGateway = network.gateway === 'weave' && !network.internal;
  if (!needsGateway) return network;
  return {
    ...network,
    subnets: subnets.map((s) => ({
      ...s,
      gateway: s.gateway ?? formatAddress({ family: cidr(s.cidr).family, value: gatewayIn(s) }),
    })),
  };
}

const vnisOf = (state: State) => new Set([...state.networks.values()].map((n) => n.vni));

export function freeVni(taken: ReadonlySet<number>, id: string): number {
  let vni = vniSeed(id);
  while (taken.has(vni)) vni = (vni % VNI_SPACE) + 1;
  return vni;
}

/** Learns the name that an engine gave its network. */
export function nameNetwork(state: State, id: string, name: string): Change[] {
  const network = state.networks.get(id);
  if (!network || network.name === name || state.hasNetworkNamed(name)) return [];
  return [{ table: 'network', id, record: { ...network, name } }];
}

/** Removes a network of Weave's own. Throws WEAVE_NETWORK_IN_USE while something is attached. */
export function removeNetwork(state: State, idOrName: string): { network: Network; changes: Change[] } {
  const network = state.network(idOrName);
  if (network.owner === 'docker' && !state.cluster)
    fail('WEAVE_NETWORK_OWNED', `network ${network.name} belongs to the Docker engine`);
  const users = state.endpointsOf(network.id);
  if (users.length > 0) {
    const names = users.map((e) => holderOf(state, e.id)).sort();
    fail(
      'WEAVE_NETWORK_IN_USE',
      `network ${network.name} is in use by ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`,
    );
  }
  return { network, changes: state.cluster ? dropNetwork(state, network.id) : forgetNetwork(state, network.id) };
}

/**
 * What an engine had on a network that it removed, and that is not its own alone: the network stays for those who made
 * it. Undefined where it goes with the engine's (see {@link forgetNetwork}).
 */
export function unbindNetwork(state: State, id: string): { network: Network; changes: Change[] } | undefined {
  const network = state.networks.get(state.boundTo(id));
  if (!network || !(state.cluster || state.bindings.has(id))) return undefined;
  const own = state.endpointsOf(network.id).filter((e) => e.owner === 'docker' && e.peer === state.self);
  const changes: Change[] = own.map((e) => ({ table: 'endpoint', id: e.id, record: null }));
  return { network, changes: [...changes, ...(state.bindings.has(id) ? [unbound(id)] : [])] };
}

const unbound = (id: string): Change => ({ table: 'binding', id, record: null });

/**
 * Removes a network with all that is attached to it: what an engine removed is gone, whatever we think of it.
 * Its pools go too, unless an engine holds them: it gives them back by itself. Unknown ids are a success.
 */
export function forgetNetwork(state: State, id: string): Change[] {
  const network = state.networks.get(id);
  if (!network) return [];
  const changes: Change[] = state.endpointsOf(id).map((e) => ({ table: 'endpoint', id: e.id, record: null }));
  changes.push({ table: 'network', id, record: null });
  if (network.owner === 'weave')
    for (const { pool } of network.subnets) if (pool) changes.push(...releasePool(state, pool));
  return changes;
}
