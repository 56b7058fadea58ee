import { type Cidr, cidr, contains, covers, formatAddress, formatCidr, sizeOf, subnet } from './address.ts';
import { holderOf } from './endpoints.ts';
import { fail } from './errors.ts';
import { takenIn } from './grown.ts';
import { subnetFreed } from './ipam.ts';
import type { Change, Network, Pool, Subnet } from './model.ts';
import { mustBeDisjoint } from './networks.ts';
import type { State } from './state.ts';

/**
 * Makes a subnet of a network larger, while it is in use: all that was handed out stays. One that is so large already is
 * a success. Throws WEAVE_INVALID_SUBNET, WEAVE_SUBNET_OVERLAP, WEAVE_ENGINE_IPAM, WEAVE_ADDRESS_IN_USE.
 */
export function growNetwork(state: State, idOrName: string, given: string, now: number) {
  const network = state.network(idOrName);
  const wanted = subnet(given);
  const text = formatCidr(wanted);
  const old = network.subnets.find((s) => covers(wanted, cidr(s.cidr)));
  if (!old)
    fail('WEAVE_INVALID_SUBNET', `no subnet of network ${network.name} lies in ${text}`, {
      hint: `Its subnets are: ${network.subnets.map((s) => s.cidr).join(', ')}.`,
    });
  if (old.cidr === text) return { network, changes: [] as Change[] };
  const pool = growablePool(state, network, old);
  mustBeDisjoint(
    network.subnets.filter((s) => s !== old),
    text,
  );
  mustBeUnheld(state, network, wanted);
  const grown: Network = { ...network, subnets: network.subnets.map((s) => (s === old ? { ...s, cidr: text } : s)) };
  const changes: Change[] = [
    ...subnetFreed(state, wanted, now, pool.id),
    { table: 'pool', id: pool.id, record: { ...pool, cidr: text, grownFrom: [...(pool.grownFrom ?? []), pool.cidr] } },
    { table: 'network', id: network.id, record: grown },
    ...takenIn(state, network, grown),
  ];
  return { network: grown, changes };
}

/** By addresses that are in no subnet of the network yet: nobody but who has them knows of them. */
function mustBeUnheld(state: State, network: Network, wanted: Cidr): void {
  for (const { id, addresses } of state.endpointsOf(network.id))
    for (const addr of addresses.map(cidr))
      if (contains(wanted, addr) && !state.subnetOf(network, addr))
        fail('WEAVE_ADDRESS_IN_USE', `${formatAddress(addr)} is in use by ${holderOf(state, id)}`, {
          hint: 'Detach it first, or choose a subnet that it is not in.',
        });
}

function growablePool(state: State, network: Network, { cidr: text, pool }: Subnet): Pool {
  const record = state.pools.get(pool ?? '');
  if (!record)
    fail(
      'WEAVE_ENGINE_IPAM',
      `the addresses of ${text} on network ${network.name} are handed out by the Docker engine`,
    );
  // All of its addresses are hosts', and in a larger one the first and the last are not.
  if (sizeOf(cidr(text)) <= 2n) fail('WEAVE_INVALID_SUBNET', `${text} is too small to be grown`);
  return record;
}
