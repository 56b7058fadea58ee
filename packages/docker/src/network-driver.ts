import { asWeaveError, type Handover, type PublishedPort, WeaveError } from '@weave/sdk';
import { type Methods, method } from './method.ts';
import * as wire from './wire.ts';

const PROTOCOLS: Record<number, PublishedPort['protocol']> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

export interface DriverOptions {
  /** Containers get a route to this address on their weave interface: where weaveDNS is. */
  nameserver?: string | undefined;
}

/** libnetwork's NetworkDriver. Each method is one call of the SDK. */
export const networkDriver = (options: DriverOptions): Methods => ({
  'NetworkDriver.GetCapabilities': {
    answer: () => ({ Scope: 'local', ConnectivityScope: 'local', GwAllocChecker: true }),
  },
  'NetworkDriver.GwAllocCheck': method(wire.GwAllocCheck, (_weave, { Options }) => {
    const needed = Options?.[wire.GENERIC]?.['works.weave.gateway'] === 'weave' && !Options[wire.INTERNAL];
    return { SkipIPv4: !needed, SkipIPv6: !needed };
  }),
  'NetworkDriver.CreateNetwork': method(wire.CreateNetwork, async (weave, body) => {
    await weave.networks.adopt({
      id: body.NetworkID,
      subnets: [...(body.IPv4Data ?? []), ...(body.IPv6Data ?? [])].map(subnetOf),
      options: body.Options?.[wire.GENERIC] ?? {},
      internal: body.Options?.[wire.INTERNAL] ?? false,
    });
    return {};
  }),
  'NetworkDriver.DeleteNetwork': method(wire.OfNetwork, async (weave, { NetworkID }) => {
    await weave.networks.forget(NetworkID);
    return {};
  }),
  'NetworkDriver.CreateEndpoint': method(wire.CreateEndpoint, async (weave, body) => {
    const { Address, AddressIPv6, MacAddress } = body.Interface;
    const endpoint = await weave.endpoints.create({
      id: body.EndpointID,
      network: body.NetworkID,
      addresses: [Address, AddressIPv6].flatMap((text) => text || []),
      mac: MacAddress || undefined,
    });
    // What the engine gave may not be given back, not even unchanged: it takes that for tampering.
    return { Interface: MacAddress ? {} : { MacAddress: endpoint.mac } };
  }),
  'NetworkDriver.EndpointOperInfo': method(wire.OfEndpoint, () => ({ Value: {} })),
  'NetworkDriver.DeleteEndpoint': method(wire.OfEndpoint, async (weave, { EndpointID }) => {
    await weave.endpoints.remove(EndpointID);
    return {};
  }),
  'NetworkDriver.Join': method(wire.Join, async (weave, { EndpointID, SandboxKey }) =>
    joined(await weave.endpoints.attach(EndpointID, SandboxKey), options),
  ),
  'NetworkDriver.Leave': method(wire.OfEndpoint, async (weave, { EndpointID }) => {
    await weave.endpoints.detach(EndpointID);
    return {};
  }),
  'NetworkDriver.ProgramExternalConnectivity': method(wire.ProgramExternalConnectivity, async (weave, body) => {
    await weave.endpoints.publish(body.EndpointID, (body.Options?.[wire.PORTMAP] ?? []).map(publishedPort));
    return {};
  }),
  'NetworkDriver.RevokeExternalConnectivity': method(wire.OfEndpoint, async (weave, { EndpointID }) => {
    try {
      await weave.endpoints.publish(EndpointID, []);
    } catch (error) {
      if (asWeaveError(error).code !== 'WEAVE_ENDPOINT_NOT_FOUND') throw error;
    }
    return {};
  }),
  // A swarm manager puts our answer in the place of the user's own options: so they are given back.
  'NetworkDriver.AllocateNetwork': method(wire.AllocateNetwork, (_weave, { Options }) => ({ Options: Options ?? {} })),
  'NetworkDriver.FreeNetwork': method(wire.OfNetwork, () => ({})),
  'NetworkDriver.DiscoverNew': method(wire.Discover, () => ({})),
  'NetworkDriver.DiscoverDelete': method(wire.Discover, () => ({})),
});

function subnetOf({ Pool, Gateway, AddressSpace }: { Pool: string; Gateway?: string; AddressSpace?: string }) {
  if (AddressSpace === 'null')
    throw new WeaveError('WEAVE_INVALID_SUBNET', 'a weave network needs addresses: --ipam-driver null gives none');
  return { cidr: Pool, gateway: Gateway || undefined, ours: AddressSpace === ADDRESS_SPACE };
}

export const ADDRESS_SPACE = 'weave-local';

function joined({ link, gateways, routes, noGateway }: Handover, { nameserver }: DriverOptions) {
  const onLink = [...routes, ...(nameserver ? [`${nameserver}/${nameserver.includes(':') ? 128 : 32}`] : [])];
  const v4 = gateways.find((gateway) => !gateway.includes(':'));
  const v6 = gateways.find((gateway) => gateway.includes(':'));
  return {
    InterfaceName: { SrcName: link, DstPrefix: 'ethwe' },
    ...(v4 ? { Gateway: v4 } : {}),
    ...(v6 ? { GatewayIPv6: v6 } : {}),
    StaticRoutes: onLink.map((Destination) => ({ Destination, RouteType: 1, NextHop: '' })),
    DisableGatewayService: noGateway,
  };
}

function publishedPort({
  Proto,
  Port,
  HostIP,
  HostPort,
}: {
  Proto: number;
  Port: number;
  HostIP?: string | null;
  HostPort: number;
}): PublishedPort {
  const protocol = PROTOCOLS[Proto];
  if (!protocol) throw new WeaveError('WEAVE_INVALID_REQUEST', `ports of protocol ${Proto} cannot be published`);
  return { protocol, port: Port, hostPort: HostPort, ...(HostIP ? { hostAddress: HostIP } : {}) };
}
