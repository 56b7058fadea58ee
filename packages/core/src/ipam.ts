import {
  type Address,
  address,
  type Cidr,
  cidr,
  contains,
  covers,
  type Family,
  formatAddress,
  formatCidr,
  hostBounds,
  overlaps,
  sizeOf,
  subnet,
} from './address.ts';
import { CellNeeded, ownsAddress, single } from './cells.ts';
import { dropPool } from './directory.ts';
import { hostRoute } from './dns-address.ts';
import { fail } from './errors.ts';
import { type Change, DNS_ADDRESS, leaseId, type Network, type Pool, SUBNET_SOURCES } from './model.ts';
import type { State } from './state.ts';

/** A pool that no network uses this long after it was made is left over from an engine that died meanwhile. */
const ORPHAN_AFTER_MS = 60_000;

export interface PoolRequest {
  family: Family;
  /** The subnet; absent: Weave chooses one. */
  cidr?: string | undefined;
  /** The part of it to hand out. */
  range?: string | undefined;
  /** The network, by name or id, whose pool it is to be. */
  network?: string | undefined;
  /** Subnets not to choose, such as those that the host has routes for. */
  avoid?: readonly string[] | undefined;
  /** Milliseconds since 1970. */
  now: number;
}

const poolId = (text: string) => `weave:${text}`;

/** The pool that is this subnet, or was before it grew: an engine knows it as it was when it asked for it. */
export const poolAt = (state: State, text: string): Pool | undefined =>
  [...state.pools.values()].find((pool) => isCalled(pool, text));

const isCalled = ({ cidr: now, grownFrom = [] }: Pool, text: string): boolean =>
  now === text || grownFrom.includes(text);

/** Takes a subnet as a pool. A pool never overlaps another: throws WEAVE_SUBNET_OVERLAP, WEAVE_POOL_EXHAUSTED. */
export function requestPool(state: State, request: PoolRequest): { pool: Pool; changes: Change[] } {
  if (request.network !== undefined) return { pool: poolOfNetwork(state, request.network, request), changes: [] };
  const wanted = request.cidr === undefined ? chooseSubnet(state, request) : subnet(request.cidr);
  if (wanted.family !== request.family)
    fail('WEAVE_INVALID_SUBNET', `${request.cidr} is not an IPv${request.family} subnet`);
  const text = formatCidr(wanted);
  const pool: Pool = { id: poolId(text), cidr: text, created: request.now, ...rangeOf(wanted, request.range) };
  const changes = subnetFreed(state, wanted, request.now);
  return { pool, changes: [...changes, { table: 'pool', id: pool.id, record: pool }] };
}

/** Takes back what is left over of a subnet; `keep` is whose it shall be. Throws WEAVE_SUBNET_OVERLAP. */
export function subnetFreed(state: State, wanted: Cidr, now: number, keep?: string): Change[] {
  for (const text of Object.values(DNS_ADDRESS))
    if (contains(wanted, address(text)))
      fail('WEAVE_SUBNET_OVERLAP', `${formatCidr(wanted)} holds ${text}, where names are asked for`);
  const changes: Change[] = [];
  for (const other of state.pools.values()) {
    if (other.id === keep || !overlaps(cidr(other.cidr), wanted)) continue;
    const network = state.networkOfPool(other.id);
    // Either way: the clock may have been set back since.
    if (network || Math.abs(now - other.created) < ORPHAN_AFTER_MS)
      fail(
        'WEAVE_SUBNET_OVERLAP',
        `${formatCidr(wanted)} overlaps ${other.cidr} of network ${network?.name ?? '(being made)'}`,
      );
    changes.push(...releasePool(state, other.id));
  }
  return changes;
}

function poolOfNetwork(state: State, idOrName: string, { family, cidr: wanted }: PoolRequest): Pool {
  const network = state.network(idOrName);
  const pools = network.subnets.flatMap((s) => state.pools.get(s.pool ?? '') ?? []);
  const text = wanted === undefined ? undefined : formatCidr(subnet(wanted));
  return (
    pools.find((pool) => cidr(pool.cidr).family === family && isCalled(pool, text ?? pool.cidr)) ??
    fail('WEAVE_INVALID_SUBNET', `network ${network.name} has no IPv${family} pool${text ? ` ${text}` : ''}`, {
      hint: `Its subnets are: ${network.subnets.map((s) => s.cidr).join(', ')}.`,
    })
  );
}

function rangeOf(outer: Cidr, range: string | undefined): { range?: string } {
  if (range === undefined || range === formatCidr(outer)) return {};
  const inner = subnet(range);
  if (!covers(outer, inner)) fail('WEAVE_INVALID_SUBNET', `the range ${range} is not inside ${formatCidr(outer)}`);
  return { range: formatCidr(inner) };
}

function chooseSubnet(state: State, { family, avoid = [] }: PoolRequest): Cidr {
  const source = cidr(SUBNET_SOURCES[family].from);
  const length = SUBNET_SOURCES[family].length;
  const taken = [...state.pools.values()].map((pool) => cidr(pool.cidr));
  for (const text of [...avoid, ...Object.values(DNS_ADDRESS).map(hostRoute)]) taken.push(cidr(text));
  const step = sizeOf({ ...source, length });
  // The source's first subnet stays free: in IPv6 it is the default network's.
  for (let value = source.value + step; value < source.value + sizeOf(source); value += step) {
    const candidate: Cidr = { family, value, length };
    if (!taken.some((other) => overlaps(other, candidate))) return candidate;
  }
  return fail('WEAVE_POOL_EXHAUSTED', `every IPv${family} subnet of ${formatCidr(source)} is taken`, {
    hint: 'Name a subnet yourself with --subnet.',
  });
}

/** The network of a pool, where that is not an engine's alone: its pool and its gateway stay for as long as it does. */
function keeper(state: State, pool: string): Network | undefined {
  const network = state.networkOfPool(pool);
  const isShared = state.cluster || network?.owner === 'weave';
  return isShared || [...state.bindings.values()].some((b) => b.network === network?.id) ? network : undefined;
}

/** An engine gives a pool back. */
export const returnPool = (state: State, id: string): Change[] => (keeper(state, id) ? [] : releasePool(state, id));

/** Gives a pool back with all that an engine holds of it. Unknown ids are a success. */
export const releasePool = (state: State, id: string): Change[] => (state.pools.has(id) ? dropPool(state, id) : []);

/** The lowest free address of a pool, inside `window` where one is given. Throws WEAVE_POOL_EXHAUSTED, CellNeeded. */
export function lowestFree(
  state: State,
  id: string,
  window?: Cidr,
  alsoTaken: ReadonlySet<bigint> = new Set(),
): Address {
  const index = state.poolIndex(id);
  const pool = state.pools.get(id)!;
  const area = window ?? cidr(pool.range ?? pool.cidr);
  const isWhole = window === undefined;
  const blocks = state.cluster ? index.cells.filter((cell) => overlaps(cell, area)) : [area];
  for (const block of blocks) {
    const { first, last } = hostBounds(index.cidr, covers(area, block) ? block : area);
    let value = isWhole && index.lowest > first ? index.lowest : first;
    value = nextFree(value, last, [index.taken]);
    if (isWhole && value > index.lowest) index.lowest = value;
    value = nextFree(value, last, [index.taken, alsoTaken]);
    if (value <= last) return { family: index.cidr.family, value };
  }
  const message = `no address is free in ${formatCidr(area)} of network ${state.networkOfPool(id)?.name ?? id}`;
  if (state.cluster) throw new CellNeeded(id, area, message, alsoTaken);
  return fail('WEAVE_POOL_EXHAUSTED', `${message}: ${index.taken.size} are in use`);
}

function nextFree(from: bigint, last: bigint, taken: readonly { has(value: bigint): boolean }[]): bigint {
  let value = from;
  while (value <= last && taken.some((each) => each.has(value))) value++;
  return value;
}

/** Throws WEAVE_ADDRESS_IN_USE when somebody holds this address of the pool. */
export function mustBeFree(state: State, id: string, addr: Address, unless?: string): void {
  const index = state.poolIndex(id);
  const { taken, cidr: pool } = index;
  if (!contains(pool, addr)) fail('WEAVE_INVALID_ADDRESS', `${formatAddress(addr)} is not in ${formatCidr(pool)}`);
  const owner = taken.get(addr.value);
  if (owner === undefined) mustBeOwn(state, id, addr);
  if (owner === undefined || owner === unless) return;
  const endpoint = state.endpoints.get(owner);
  const who = endpoint ? `container ${endpoint.container?.name ?? endpoint.id.slice(0, 12)}` : 'the engine';
  fail('WEAVE_ADDRESS_IN_USE', `${formatAddress(addr)} is in use by ${who}`);
}

/** Throws CellNeeded when another host may hand this address out, or has. */
export function mustBeOwn(state: State, id: string, addr: Address): void {
  if (state.cluster && !isGateway(state, id, formatAddress(addr)) && !ownsAddress(state.poolIndex(id), addr))
    throw new CellNeeded(id, single(addr), `${formatAddress(addr)} is in no block of addresses of this host`);
}

/** Leases an address to an engine: the lowest free one, or the one asked for. */
export function requestAddress(state: State, pool: string, wanted?: string): { cidr: string; changes: Change[] } {
  const { length } = state.poolIndex(pool).cidr;
  if (wanted !== undefined && isGateway(state, pool, wanted)) return { cidr: `${wanted}/${length}`, changes: [] };
  const addr = wanted === undefined ? lowestFree(state, pool) : address(wanted);
  mustBeFree(state, pool, addr);
  const { first, last } = hostBounds(state.poolIndex(pool).cidr);
  if (addr.value < first || addr.value > last)
    fail('WEAVE_INVALID_ADDRESS', `${wanted} is the network or broadcast address of its subnet`);
  const text = formatAddress(addr);
  return {
    cidr: `${text}/${length}`,
    changes: [{ table: 'lease', id: leaseId(pool, text), record: { pool, address: text } }],
  };
}

/** The lease of an address that an engine has, whether we gave it or only hear of it; nothing where it is taken. */
export function learnLease(state: State, network: Network, text: string): Change[] {
  const addr = address(text);
  const pool = state.subnetOf(network, addr)?.pool;
  if (!pool || state.poolIndex(pool).taken.has(addr.value)) return [];
  return [{ table: 'lease', id: leaseId(pool, text), record: { pool, address: text } }];
}

const isGateway = (state: State, pool: string, text: string): boolean =>
  !!keeper(state, pool)?.subnets.some((s) => s.pool === pool && s.gateway === text);

/** Gives a leased address back. Unknown pools and addresses are a success. */
export function releaseAddress(state: State, pool: string, text: string): Change[] {
  if (isGateway(state, pool, text)) return [];
  const id = leaseId(pool, text);
  const lease = state.leases.get(id);
  // What another host was given is not the engine's to give back.
  return lease && !lease.peer ? [{ table: 'lease', id, record: null }] : [];
}
