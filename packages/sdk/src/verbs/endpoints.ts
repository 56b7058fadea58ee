import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import {
  asWeaveError,
  createEndpoint,
  deleteEndpoint,
  dnsAddressFor,
  fail,
  handoverName,
  hasGateway,
  hostRoute,
  isFileLimit,
  joinEndpoint,
  leaveEndpoint,
  MULTICAST_ROUTE,
  type PublishedPort,
  publishPorts,
  roommates,
} from '@weave/core';
import type { Host } from '../host.ts';
import { passOnDns } from '../way-to-dns.ts';
import type { Handover, Weave } from '../weave.ts';

export function endpointVerbs(host: Host): Weave['endpoints'] {
  const { state } = host;

  const end = (id: string, decide: typeof leaveEndpoint) =>
    host.inTurn(id, async () => {
      await passOnDns(host, id);
      await host.carryOut({ changes: decide(state, id), endpoints: [id] });
    });

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
        const { changes } = joinEndpoint(state, id, sandbox, host.datapath.netnsId(sandbox));
        await host.carryOut({ changes, endpoints: [id] });
        return handover(host, id);
      }),
    detach: (id) => end(id, leaveEndpoint),
    remove: (id) => end(id, deleteEndpoint),
    list: async ({ network, everywhere = false, with: id } = {}) => {
      const of = network === undefined ? undefined : state.network(network).id;
      const one = id === undefined ? undefined : state.endpoints.get(id);
      const some = id === undefined ? undefined : one ? [one, ...roommates(state, one)] : [];
      const all = (some ?? (of ? state.endpointsOf(of) : [...state.endpoints.values()])).filter(
        (e) => of === undefined || e.network === of,
      );
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

function handover(host: Host, id: string): Handover {
  const { state } = host;
  const endpoint = state.endpoint(id);
  const network = state.networks.get(endpoint.network)!;
  const multicast = endpoint.sandbox?.kind === 'engine' && endpoint.sandbox.multicast;
  return {
    link: handoverName(id),
    mac: endpoint.mac,
    gateways: hasGateway(network) ? network.subnets.flatMap((s) => s.gateway ?? []) : [],
    routes: [
      ...(multicast ? [MULTICAST_ROUTE] : []),
      ...(endpoint.sandbox?.kind === 'engine' && endpoint.sandbox.dns
        ? [hostRoute(dnsAddressFor(host.state, endpoint)!)]
        : []),
    ],
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
  try {
    socket.bind({ port, ...(address ? { address } : {}), exclusive: true });
    await once(socket, 'listening');
    return socket.address().port;
  } finally {
    // It stays open also where it could not be bound.
    socket.close();
    await once(socket, 'close');
  }
}
