import { cidr, overlaps } from './address.ts';
import { dropNetwork, isDefinition } from './directory.ts';
import { fail } from './errors.ts';
import type { Change, Network, Pool } from './model.ts';
import { freeVni } from './networks.ts';
import type { State } from './state.ts';

/**
 * What of this host's networks is dropped for the cluster's (nothing uses it), and what is added to the cluster's.
 * Throws WEAVE_JOIN_REFUSED where both would be wanted.
 */
export function admitted(state: State, shared: { networks: readonly Network[]; pools: readonly Pool[] }) {
  const taken = new Map(shared.networks.map((network) => [network.name, network]));
  const same = new Map(shared.networks.map((network) => [network.id, network]));
  const vnis = new Set(shared.networks.map(({ vni }) => vni));
  const refusals: string[] = [];
  const dropped: Change[] = [];
  const added: Change[] = [];
  for (const network of state.networks.values()) {
    const clash = clashOf(network, same.get(network.id) ?? taken.get(network.name), shared.pools);
    const isTheirs = same.has(network.id) && !clash;
    if (isTheirs) continue;
    if (clash && !state.isMember(network.id) && network.owner === 'weave') {
      dropped.push(...dropNetwork(state, network.id));
      continue;
    }
    if (clash) refusals.push(clash);
    const vni = freeVni(vnis, network.id);
    vnis.add(vni);
    const pools = network.subnets.flatMap(({ pool }) => state.pools.get(pool ?? '') ?? []);
    added.push(...pools.map((record): Change => ({ table: 'pool', id: record.id, record })));
    added.push({ table: 'network', id: network.id, record: { ...network, vni } });
  }
  if (refusals.length > 0) fail('WEAVE_JOIN_REFUSED', refusals.join('; '));
  return { dropped, added: added.filter(isDefinition) };
}

/** Why a network of this host cannot be in a cluster that has `other` by this name or id, and these pools. */
function clashOf(network: Network, other: Network | undefined, pools: readonly Pool[]): string | undefined {
  const subnets = (n: Network) => n.subnets.map((s) => s.cidr).join(', ');
  if (other && (other.id !== network.id || subnets(other) !== subnets(network)))
    return `the cluster has another network ${network.name}, with ${subnets(other)}`;
  if (other) return undefined;
  for (const { cidr: text } of network.subnets)
    for (const pool of pools)
      if (overlaps(cidr(pool.cidr), cidr(text)))
        return `the subnet ${text} of network ${network.name} overlaps ${pool.cidr} of the cluster`;
  return undefined;
}
