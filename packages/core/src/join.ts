import { cidr, overlaps } from './address.ts';
import { dropNetwork, dropPool, isDefinition } from './directory.ts';
import { fail } from './errors.ts';
import { isGrownFrom } from './grown.ts';
import type { Change, Network, Pool } from './model.ts';
import { freeVni } from './networks.ts';
import type { State } from './state.ts';

/**
 * How a host comes to a directory: `first`, with networks of its own; `anew`, the directory was lost and all tell what
 * they know; or `again`, and what it has beyond what is there was removed while it was away, which counts where nothing
 * uses it.
 */
export type Arrival = 'first' | 'anew' | 'again';

interface Shared {
  networks: readonly Network[];
  pools: readonly Pool[];
}

/**
 * What of this host's networks is dropped for the cluster's, what is added to the cluster's, and which of them it
 * uses and cannot keep: others have what they are made of. Who comes first is refused with those (WEAVE_JOIN_REFUSED).
 */
export function admitted(state: State, shared: Shared, arrival: Arrival) {
  const { networks, pools } = shared;
  const vnis = new Set(networks.map(({ vni }) => vni));
  const refusals: string[] = [];
  const lost: Network[] = [];
  const dropped: Change[] = [];
  const added: Change[] = [];
  for (const network of state.networks.values()) {
    const same = networks.find(({ id }) => id === network.id);
    const clash = clashOf(network, same ?? networks.find(({ name }) => name === network.name), pools);
    if (same && arrival === 'anew' && hasGrown(network, same)) {
      added.push(...retold(state, { ...network, vni: same.vni }));
      continue;
    }
    // Who has been here follows what became of a network; its addresses are looked at after that.
    if (same && (arrival !== 'first' || !clash)) continue;
    const isKept = state.isMember(network.id) || isEngines(network, arrival);
    if (!isKept && (clash || arrival === 'again')) dropped.push(...dropNetwork(state, network.id));
    else if (!clash) added.push(...shareable(state, network, vnis));
    else if (arrival === 'first') refusals.push(clash);
    else lost.push(network);
  }
  if (refusals.length > 0) fail('WEAVE_JOIN_REFUSED', refusals.join('; '));
  const isDropped = (pool: Pool) => arrival === 'again' || pools.some((p) => overlaps(cidr(p.cidr), cidr(pool.cidr)));
  const [going, staying] = [true, false].map((is) => loosePools(state, pools).filter((p) => isDropped(p) === is));
  dropped.push(...going!.flatMap(({ id }) => dropPool(state, id)));
  added.push(...staying!.map((record): Change => ({ table: 'pool', id: record.id, record })));
  return { dropped, added: added.filter(isDefinition), lost };
}

/** An engine has it, whether something uses it or not. */
const isEngines = ({ owner }: Network, arrival: Arrival) => arrival === 'first' && owner === 'docker';

function shareable(state: State, network: Network, vnis: Set<number>): Change[] {
  const vni = freeVni(vnis, network.id);
  vnis.add(vni);
  return retold(state, { ...network, vni });
}

/** Others told of it before who had not heard that it grew. */
const hasGrown = (network: Network, other: Network): boolean =>
  isGrownFrom(network, other) && !isGrownFrom(other, network);

function retold(state: State, network: Network): Change[] {
  const pools = network.subnets.flatMap(({ pool }) => state.pools.get(pool ?? '') ?? []);
  return [
    ...pools.map((record): Change => ({ table: 'pool', id: record.id, record })),
    { table: 'network', id: network.id, record: network },
  ];
}

/** Pools that no network uses yet, and that are not there. */
function loosePools(state: State, shared: readonly Pool[]): Pool[] {
  const there = new Set(shared.map(({ id }) => id));
  return [...state.pools.values()].filter(({ id }) => !there.has(id) && !state.networkOfPool(id));
}

/** Why a network of this host cannot be in a cluster that has `other` by this name or id, and these pools. */
function clashOf(network: Network, other: Network | undefined, pools: readonly Pool[]): string | undefined {
  const subnets = (n: Network) => n.subnets.map((s) => s.cidr).join(', ');
  const isTheSame = other?.id === network.id && (subnets(other) === subnets(network) || isGrownFrom(other, network));
  if (other && !isTheSame) return `the cluster has another network ${network.name}, with ${subnets(other)}`;
  if (other) return undefined;
  for (const { cidr: text } of network.subnets)
    for (const pool of pools)
      if (overlaps(cidr(pool.cidr), cidr(text)))
        return `the subnet ${text} of network ${network.name} overlaps ${pool.cidr} of the cluster`;
  return undefined;
}
