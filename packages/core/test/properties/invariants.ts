import {
  cidr,
  contains,
  type Endpoint,
  formatAddress,
  hasGateway,
  hostBounds,
  type Lease,
  leaseId,
  plan,
  portName,
  queries,
  type State,
  unitsAt,
} from '@weave/core';
import type { Playground } from './playground.ts';

export function recordsAreRight(w: Playground): void {
  noAddressTwice(w.state);
  nothingIsLost(w);
  nothingIsLeft(w);
}

function noAddressTwice(state: State): void {
  for (const network of state.networks.values()) {
    const held = [
      ...(hasGateway(network) ? network.subnets.flatMap((s) => s.gateway ?? []) : []),
      ...state.endpointsOf(network.id).flatMap((e) => e.addresses.map((text) => formatAddress(cidr(text)))),
    ];
    if (new Set(held).size < held.length) throw new Error(`an address is there twice: ${held}`);
    const macs = state.endpointsOf(network.id).map((e) => e.mac);
    if (new Set(macs).size < macs.length) throw new Error(`a MAC is there twice: ${macs}`);
    for (const { cidr: text, pool } of network.subnets) if (pool) poolIsRight(state, network.id, text, pool);
  }
}

/** What is taken of a pool is inside it, and an engine's lease is no attachment's address. */
function poolIsRight(state: State, network: string, text: string, pool: string): void {
  const { family } = cidr(text);
  for (const [value, owner] of state.poolIndex(pool).taken) {
    const address = formatAddress({ family, value });
    if (!contains(cidr(text), { family, value })) throw new Error(`${address} is not in ${text}`);
    const holder = state.addressOwner(network, address);
    const attached = holder !== undefined && state.endpoint(holder).owner === 'weave' ? holder : '';
    if (owner !== attached)
      throw new Error(`${address} is taken by ${owner || 'an engine'}, but on ${attached || 'none'}`);
  }
}

/** What an engine was answered it still has, however often the daemon died since. */
function nothingIsLost({ state, engine }: Playground): void {
  for (const lease of engine.leases)
    if (!state.leases.has(lease)) throw new Error(`the engine was given ${lease}, and it is free again`);
  for (const { id, endpoints } of engine.networks.values()) {
    if (!state.networks.has(id)) throw new Error(`network ${id} of the engine is lost`);
    for (const seen of endpoints.values()) endpointIsThere(state, id, seen);
  }
}

function endpointIsThere(state: State, network: string, seen: { id: string; addresses: readonly string[] }): void {
  const endpoint = state.endpoints.get(seen.id);
  if (`${endpoint?.addresses}` !== `${seen.addresses}`) throw new Error(`endpoint ${seen.id} of the engine is lost`);
  for (const text of seen.addresses) {
    const pool = state.subnetOf(state.network(network), cidr(text))?.pool;
    if (pool && !state.leases.has(leaseId(pool, formatAddress(cidr(text)))))
      throw new Error(`${text} of endpoint ${seen.id} may be given to another`);
  }
}

/** What the engine has not any more, and never heard of, is not ours either. */
function nothingIsLeft({ state, engine }: Playground): void {
  for (const { id, owner } of state.networks.values())
    if (owner === 'docker' && !engine.networks.has(id)) throw new Error(`network ${id} of the engine is left over`);
  for (const { id, owner, network } of state.endpoints.values())
    if (owner === 'docker' && !engine.networks.get(network)?.endpoints.has(id))
      throw new Error(`endpoint ${id} of the engine is left over`);
  for (const [id, lease] of state.leases)
    if (!engine.leases.has(id) && !engine.unheard.has(id) && !isGateway(state, lease))
      throw new Error(`nobody holds ${id}`);
}

/** Also where the engine has not told of any: it takes the first address. */
function isGateway(state: State, { pool, address }: Lease): boolean {
  const subnet = state.networkOfPool(pool)?.subnets.find((s) => s.pool === pool);
  if (!subnet) return false;
  const texts = [subnet.cidr, ...(state.pools.get(pool)?.grownFrom ?? [])];
  const firsts = texts.map((text) => formatAddress({ ...cidr(text), value: hostBounds(cidr(text)).first }));
  return [subnet.gateway, ...firsts].includes(address);
}

/** What a verb has just done is right, whatever else is wrong. But with a stray address all is asked for again. */
export async function isRight({ state, kernel }: Playground, { id }: Endpoint): Promise<void> {
  const endpoint = state.endpoints.get(id);
  const units = endpoint ? unitsAt(state, [portName(id)]) : [];
  const open = plan(units, await kernel.observe(queries(units, false))).flatMap((batch) => batch.ops);
  if (open.some((op) => op.op === 'deleteAddress')) return;
  if (open.length > 0) throw new Error(`the verb left undone: ${JSON.stringify(open)}`);
}
