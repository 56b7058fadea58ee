import { createServer } from 'node:net';
import {
  createEndpoint,
  deleteEndpoint,
  handoverName,
  hasGateway,
  joinEndpoint,
  leaveEndpoint,
  MULTICAST_ROUTE,
  opensShard,
  type PublishedPort,
  publishPorts,
} from '@weave/core';
import type { Host } from '../host.ts';
import type { Handover, Weave } from '../weave.ts';

export function endpointVerbs(host: Host): Weave['endpoints'] {
  const { state } = host;
  return {
    create: async (spec) => {
      const { endpoint, changes } = createEndpoint(state, spec);
      if (opensShard(state, endpoint)) await host.carryOut({ changes, networks: [endpoint.network] });
      else host.commit(changes);
      return endpoint;
    },
    attach: (id, sandbox) =>
      host.inTurn(id, async () => {
        const { changes } = joinEndpoint(state, id, sandbox);
        await host.carryOut({ changes, endpoints: [id] });
        return handover(host, id);
      }),
    detach: (id) => host.inTurn(id, () => host.carryOut({ changes: leaveEndpoint(state, id), endpoints: [id] })),
    remove: (id) => host.inTurn(id, () => host.carryOut({ changes: deleteEndpoint(state, id), endpoints: [id] })),
    list: async ({ network } = {}) =>
      network === undefined ? [...state.endpoints.values()] : state.endpointsOf(state.network(network).id),
    publish: (id, ports) =>
      host.inTurn(id, async () => {
        if (!hasGateway(state.networks.get(state.endpoint(id).network)!)) return;
        const chosen = await Promise.all(ports.map(choosePort));
        await host.carryOut({ changes: publishPorts(state, id, chosen), published: [id] });
      }),
  };
}

function handover({ state }: Host, id: string): Handover {
  const endpoint = state.endpoint(id);
  const network = state.networks.get(endpoint.network)!;
  const multicast = endpoint.sandbox?.kind === 'engine' && endpoint.sandbox.multicast;
  return {
    link: handoverName(id),
    mac: endpoint.mac,
    gateways: hasGateway(network) ? network.subnets.flatMap((s) => s.gateway ?? []) : [],
    routes: multicast ? [MULTICAST_ROUTE] : [],
    // Not of an internal network: the sandbox may be on another one that has a way out.
    noGateway: network.gateway === 'none' && !network.internal,
  };
}

/** `-p 80` leaves the host's port to us: one that nothing listens on now. */
async function choosePort(port: PublishedPort): Promise<PublishedPort> {
  if (port.hostPort > 0) return port;
  const server = createServer();
  const hostPort = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, port.hostAddress, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : 0);
    });
  });
  await new Promise((resolve) => server.close(resolve));
  return { ...port, hostPort };
}
