import { type Change, type Cidr, cidr, contains, type Endpoint, leaveEndpoint } from '@weave/core';
import type { Context } from './context.ts';

/**
 * This host was taken for dead, and what was its own given to others: whoever here has an address of theirs goes, so
 * that no address is there twice.
 */
export async function giveUp({ host }: Context, lost: readonly { pool: string; cell: Cidr }[]): Promise<void> {
  const { state } = host;
  const isLost = (e: Endpoint) =>
    e.peer === state.self && e.addresses.some((text) => lost.some(({ cell }) => contains(cell, cidr(text))));
  for (const endpoint of [...state.endpoints.values()].filter(isLost)) {
    const { id, owner, container, addresses } = endpoint;
    const changes: Change[] = owner === 'weave' ? [{ table: 'endpoint', id, record: null }] : leaveEndpoint(state, id);
    await host.carryOut({ changes, endpoints: [id] });
    host.log('error', 'its addresses were given to another host: it is cut off', {
      container: container?.name ?? id.slice(0, 12),
      addresses,
    });
  }
}
