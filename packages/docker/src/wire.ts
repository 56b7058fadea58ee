import { type Static, type TSchema, Type } from 'typebox';

/**
 * The bodies of libnetwork's remote driver protocols, as engines from 20.10 on send them. Fields that we do not know
 * are passed over, as the engine does with ours.
 */
const Text = Type.String({ maxLength: 1024 });
const NetworkID = Type.String({ pattern: '^[0-9a-z]{25,64}$' });
const EndpointID = Type.String({ pattern: '^[0-9a-f]{64}$' });
const Maybe = <S extends TSchema>(schema: S) => Type.Optional(Type.Union([schema, Type.Null()]));
const Strings = Type.Record(Type.String({ maxLength: 255 }), Text);

/** In an answer to RequestPool: there is one already. */
export const GATEWAY = 'com.docker.network.gateway';
export const GENERIC = 'com.docker.network.generic';
export const INTERNAL = 'com.docker.network.internal';
export const PORTMAP = 'com.docker.network.portmap';

const NetworkOptions = Maybe(
  Type.Object({ [GENERIC]: Maybe(Strings), [INTERNAL]: Maybe(Type.Boolean()) } as {
    [GENERIC]: ReturnType<typeof Maybe<typeof Strings>>;
    [INTERNAL]: ReturnType<typeof Maybe<ReturnType<typeof Type.Boolean>>>;
  }),
);

/** Gateway and auxiliary addresses have a prefix length, whatever the engine's documents say. */
const IpamData = Type.Object({ AddressSpace: Type.Optional(Text), Pool: Text, Gateway: Type.Optional(Text) });

export const CreateNetwork = Type.Object({
  NetworkID,
  Options: NetworkOptions,
  IPv4Data: Maybe(Type.Array(IpamData, { maxItems: 64 })),
  IPv6Data: Maybe(Type.Array(IpamData, { maxItems: 64 })),
});
export const GwAllocCheck = Type.Object({ Options: NetworkOptions });
export const OfNetwork = Type.Object({ NetworkID });
export const OfEndpoint = Type.Object({ NetworkID, EndpointID });

/** Strings are empty where there is none. */
const Interface = Type.Object({ Address: Maybe(Text), AddressIPv6: Maybe(Text), MacAddress: Maybe(Text) });
export const CreateEndpoint = Type.Object({ NetworkID, EndpointID, Interface });

export const Join = Type.Object({ NetworkID, EndpointID, SandboxKey: Type.String({ minLength: 1, maxLength: 4096 }) });

const Port = Type.Integer({ minimum: 0, maximum: 65535 });
/** Proto is IANA's number: 6, 17 or 132. */
const PortBinding = Type.Object({ Proto: Type.Integer(), Port, HostIP: Maybe(Text), HostPort: Port });
export const ProgramExternalConnectivity = Type.Object({
  NetworkID,
  EndpointID,
  Options: Maybe(
    Type.Object({ [PORTMAP]: Maybe(Type.Array(PortBinding, { maxItems: 65536 })) } as {
      [PORTMAP]: ReturnType<typeof Maybe<ReturnType<typeof Type.Array<typeof PortBinding>>>>;
    }),
  ),
});

export const AllocateNetwork = Type.Object({ NetworkID, Options: Maybe(Strings) });
export const Discover = Type.Object({ DiscoveryType: Type.Integer() });

export const RequestPool = Type.Object({
  AddressSpace: Text,
  Pool: Maybe(Text),
  SubPool: Maybe(Text),
  Options: Maybe(Strings),
  V6: Maybe(Type.Boolean()),
});
export const ReleasePool = Type.Object({ PoolID: Text });
export const RequestAddress = Type.Object({
  PoolID: Type.String({ minLength: 1, maxLength: 255 }),
  Address: Maybe(Text),
});
export const ReleaseAddress = Type.Object({ PoolID: Text, Address: Text });

export type Body<S extends TSchema> = Static<S>;
