import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import {
  asWeaveError,
  createEndpoint,
  deleteEndpoint,
  fail,
  handoverName,
  hasGateway,
  isFileLimit,
  joinEndpoint,
  leaveEndpoint,
  MULTICAST_ROUTE,
  type PublishedPort,
  publishPorts,
} from '@weave/core';
import type { Host } from '../host.ts';
import type { Handover, Weave } from '../weave.ts';

export function endpointVerbs(host: Host): Weave['endpoints'] {
  const { state } = host;
  return {
    create: (spec) =>
      host.decide(
        () => createEndpoint(state, spec),
        async ({ endpoint, changes }) => {
          await host.carryOut({ changes });
          return endpoint;
        },
      ),
    attach: (id, sandbox) =>
      host.inTurn(id, async () => {
        const { changes } = joinEndpoint(state, id, sandbox);
        await host.carryOut({ changes, endpoints: [id] });
        return handover(host, id);
      }),
    detach: (id) => host.inTurn(id, () => host.carryOut({ changes: leaveEndpoint(state, id), endpoints: [id] })),
    remove: (id) => host.inTurn(id, () => host.carryOut({ changes: deleteEndpoint(state, id), endpoints: [id] })),
    list: async ({ network, everywhere = false } = {}) => {
      const all = network === undefined ? [...state.endpoints.values()] : state.endpointsOf(state.network(network).id);
      return everywhere ? all : all.filter((e) => e.peer === state.self);
    },
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

/**
 * `-p 80` leaves the host's port to us: one that nothing listens on now. One that is named must not be listened on
 * either, as translating it would take it away. Which protocol has no socket in Node is not asked about.
 */
async function choosePort(port: PublishedPort): Promise<PublishedPort> {
  if (port.protocol === 'sctp') return port;
  const { hostPort, hostAddress } = port;
  try {
    return { ...port, hostPort: await (port.protocol === 'udp' ? bindUdp : bindTcp)(hostPort, hostAddress) };
  } catch (error) {
    if (isFileLimit(error)) throw asWeaveError(error);
    const { code } = error as NodeJS.ErrnoException;
    const where = `${hostAddress ? `${hostAddress}:` : ''}${hostPort}/${port.protocol}`;
    if (code === 'EADDRINUSE') fail('WEAVE_PORT_IN_USE', `something on this host listens on port ${where}`);
    return fail('WEAVE_INVALID_REQUEST', `port ${where} cannot be published: ${code}`);
  }
}

/** Listens and stops; the port that it was. */
async function bindTcp(port: number, host: string | undefined): Promise<number> {
  const server = createServer().listen({ port, host, exclusive: true });
  await once(server, 'listening');
  const { port: bound } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return bound;
}

async function bindUdp(port: number, address: string | undefined): Promise<number> {
  const socket = createSocket({ type: address?.includes(':') || !address ? 'udp6' : 'udp4' });
  socket.bind({ port, ...(address ? { address } : {}), exclusive: true });
  await once(socket, 'listening');
  const { port: bound } = socket.address();
  socket.close();
  await once(socket, 'close');
  return bound;
}
