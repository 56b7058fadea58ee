import { HOST, parseCidr, releaseAddress, requestAddress, requestPool, returnPool } from '@weave/core';
import type { Host } from '../host.ts';
import type { Weave } from '../weave.ts';

/**
 * What the host routes elsewhere: a subnet chosen inside would be refused by the engine, which then asks again at
 * once and without end.
 */
export async function hostRoutes(host: Host): Promise<string[]> {
  const [observed] = await host.datapath.observe([{ netns: HOST }]);
  return (observed?.routes ?? []).map((r) => r.destination).filter((text) => (parseCidr(text)?.length ?? 0) > 0);
}

/** Nothing of the kernel's: these verbs only keep books. */
export function poolVerbs(host: Host): Weave['pools'] {
  const { state } = host;
  const hasGateway = (pool: string) =>
    state.networkOfPool(pool)?.subnets.some((subnet) => subnet.pool === pool && subnet.gateway) ?? false;
  return {
    request: (request) =>
      host.define(
        async () => {
          const avoid = request.cidr === undefined ? await hostRoutes(host) : [];
          return () => requestPool(state, { ...request, avoid, now: host.clock() });
        },
        ({ pool, changes }) => {
          host.commit(changes);
          return {
            id: pool.id,
            cidr: pool.cidr,
            ...(request.network && !hasGateway(pool.id) ? { noGateway: true } : {}),
          };
        },
      ),
    release: (id) =>
      host.define(
        async () => () => ({ changes: returnPool(state, id) }),
        ({ changes }) => host.commit(changes),
      ),
    requestAddress: (pool, address) =>
      host.decide(
        () => requestAddress(state, pool, address),
        ({ cidr, changes }) => {
          host.commit(changes);
          return cidr;
        },
      ),
    releaseAddress: async (pool, address) => host.commit(releaseAddress(state, pool, address)),
    grants: async () => state.grants.all(),
  };
}
