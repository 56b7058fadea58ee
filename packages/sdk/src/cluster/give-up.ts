import { type Change, cidr, type Endpoint, formatAddress, leaseId, leaveEndpoint } from '@weave/core';
import type { Context } from './context.ts';

interface Lost {
  pool?: string;
  /** Only what is on this network. */
  network?: string;
  /** Without prefix lengths. */
  addresses: ReadonlySet<string>;
}

/**
 * This host was taken for dead, and what was its own given to others: whoever here has an address of theirs goes, so
 * that no address is there twice.
 */
export async function giveUp({ host }: Context, { pool, network, addresses }: Lost): Promise<void> {
  const { state } = host;
  const isLost = (e: Endpoint) =>
    e.peer === state.self &&
    (network === undefined || e.network === network) &&
    e.addresses.some((text) => {
      const on = state.networks.get(e.network);
      const isOfPool = pool === undefined || (on && state.subnetOf(on, cidr(text))?.pool === pool);
      return isOfPool && addresses.has(formatAddress(cidr(text)));
    });
  for (const endpoint of [...state.endpoints.values()].filter(isLost)) {
    const { id, owner, container } = endpoint;
    const changes: Change[] = owner === 'weave' ? [{ table: 'endpoint', id, record: null }] : leaveEndpoint(state, id);
    await host.carryOut({ changes, endpoints: [id] });
    host.log('error', 'its addresses were given to another host: it is cut off', {
      container: container?.name ?? id.slice(0, 12),
      addresses: endpoint.addresses,
    });
  }
  if (pool === undefined) return;
  const leases = [...addresses].map((address) => leaseId(pool, address)).filter((id) => state.leases.has(id));
  host.commit(leases.map((id): Change => ({ table: 'lease', id, record: null })));
}
