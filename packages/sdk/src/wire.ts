import { MOST_NAMES } from '@weave/core';
import { type Static, type TSchema, Type } from 'typebox';
import type { Weave } from './weave.ts';

interface Verb {
  params: TSchema;
  call(weave: Weave, params: never): Promise<unknown>;
}

const verb = <S extends TSchema>(params: S, call: (weave: Weave, params: Static<S>) => Promise<unknown>) => ({
  params,
  call,
});

const Text = Type.String({ minLength: 1, maxLength: 255 });
const Id = Type.String({ pattern: '^[0-9a-z]{8,64}$' });
const Addresses = Type.Array(Type.String({ maxLength: 64 }), { maxItems: 256 });
const Options = Type.Record(Type.String({ maxLength: 255 }), Type.String({ maxLength: 255 }));
const Strict = { additionalProperties: false };

const Target = Type.Union([
  Type.Object({ container: Text }, Strict),
  Type.Object({ pid: Type.Integer({ minimum: 1 }) }, Strict),
  Type.Object({ netns: Type.String({ pattern: '^/', maxLength: 4096 }) }, Strict),
]);

const OnNetwork = { network: Type.Optional(Text) };
const Attach = Type.Object(
  {
    target: Target,
    addresses: Addresses,
    ...OnNetwork,
    multicast: Type.Optional(Type.Boolean()),
    rewriteHosts: Type.Optional(Type.Boolean()),
    addHosts: Type.Optional(Type.Array(Text, { maxItems: 256 })),
    withoutDns: Type.Optional(Type.Boolean()),
  },
  Strict,
);
const Detach = Type.Object({ target: Target, addresses: Addresses, ...OnNetwork }, Strict);
const Expose = Type.Object(
  { addresses: Addresses, ...OnNetwork, masquerade: Type.Optional(Type.Boolean()), name: Type.Optional(Text) },
  Strict,
);
const Hide = Type.Object({ addresses: Addresses, ...OnNetwork }, Strict);
const Bridge = Type.Object({ bridge: Text, ...OnNetwork }, Strict);

const Subnet = Type.Object({ cidr: Text, gateway: Type.Optional(Text), range: Type.Optional(Text) }, Strict);

const NetworkSpec = Type.Object(
  {
    name: Text,
    subnets: Type.Optional(Type.Array(Subnet, { maxItems: 16 })),
    options: Type.Optional(Options),
    internal: Type.Optional(Type.Boolean()),
  },
  Strict,
);

const EngineNetwork = Type.Object({
  id: Id,
  name: Type.Optional(Text),
  subnets: Type.Array(Type.Object({ cidr: Text, gateway: Type.Optional(Text), ours: Type.Boolean() })),
  options: Options,
  internal: Type.Boolean(),
});

const EngineEndpoint = Type.Object({ id: Id, network: Id, addresses: Addresses, mac: Type.Optional(Text) }, Strict);

const Port = Type.Object(
  {
    protocol: Type.Union([Type.Literal('tcp'), Type.Literal('udp'), Type.Literal('sctp')]),
    hostAddress: Type.Optional(Text),
    hostPort: Type.Integer({ minimum: 0, maximum: 65535 }),
    port: Type.Integer({ minimum: 1, maximum: 65535 }),
  },
  Strict,
);

/** As the engine tells it: what is no name of ours is passed over where it is used. */
const Called = {
  id: Id,
  name: Text,
  hostname: Type.Optional(Type.String({ maxLength: 255 })),
  aliases: Type.Optional(Type.Record(Id, Type.Array(Type.String({ maxLength: 255 }), { maxItems: MOST_NAMES }))),
  services: Type.Optional(
    Type.Array(
      Type.Object({ protocol: Port.properties.protocol, port: Type.Integer({ minimum: 0, maximum: 65535 }) }),
      {
        maxItems: MOST_NAMES,
      },
    ),
  ),
};

const Container = Type.Object(
  { ...Called, pid: Type.Integer({ minimum: 0 }), endpoints: Type.Optional(Type.Array(Id)) },
  Strict,
);

const NameTarget = Type.Object(
  {
    addresses: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 256 })),
    container: Type.Optional(Text),
    name: Type.Optional(Text),
  },
  Strict,
);

const Snapshot = Type.Object({
  networks: Type.Array(
    Type.Intersect([
      EngineNetwork,
      Type.Object({
        range: Type.Optional(Options),
        reserved: Addresses,
        endpoints: Type.Array(
          Type.Object({
            id: Id,
            addresses: Addresses,
            mac: Text,
            container: Type.Optional(Type.Object({ id: Id, name: Text })),
            sandbox: Type.Optional(Text),
          }),
        ),
      }),
    ]),
  ),
  containers: Type.Array(Container),
  gone: Type.Array(Id),
  before: Type.Array(Text),
});

const None = Type.Object({}, Strict);
const One = (name: string, schema: TSchema = Text) => Type.Object({ [name]: schema }, Strict);

/**
 * Every verb that crosses the daemon's socket: what it takes, and what it calls. `POST /v1/<verb>` with these
 * parameters as JSON answers `{ result }`, or `{ error: { code, kind, message, hint } }`.
 */
export const VERBS = {
  'networks.create': verb(NetworkSpec, (w, p) => w.networks.create(p)),
  'networks.list': verb(None, (w) => w.networks.list()),
  'networks.inspect': verb(One('network'), (w, p) => w.networks.inspect(p.network as string)),
  'networks.grow': verb(Type.Object({ network: Text, subnet: Text }, Strict), (w, p) =>
    w.networks.grow(p.network, p.subnet),
  ),
  'networks.remove': verb(One('network'), (w, p) => w.networks.remove(p.network as string)),
  'networks.adopt': verb(EngineNetwork, (w, p) => w.networks.adopt(p)),
  'networks.forget': verb(One('id', Id), (w, p) => w.networks.forget(p.id as string)),
  'pools.request': verb(
    Type.Object(
      {
        family: Type.Union([Type.Literal(4), Type.Literal(6)]),
        cidr: Type.Optional(Text),
        range: Type.Optional(Text),
        network: Type.Optional(Text),
      },
      Strict,
    ),
    (w, p) => w.pools.request(p),
  ),
  'pools.release': verb(One('pool'), (w, p) => w.pools.release(p.pool as string)),
  'pools.requestAddress': verb(Type.Object({ pool: Text, address: Type.Optional(Text) }, Strict), (w, p) =>
    w.pools.requestAddress(p.pool, p.address),
  ),
  'pools.releaseAddress': verb(Type.Object({ pool: Text, address: Text }, Strict), (w, p) =>
    w.pools.releaseAddress(p.pool, p.address),
  ),
  'pools.grants': verb(None, (w) => w.pools.grants()),
  'endpoints.create': verb(EngineEndpoint, (w, p) => w.endpoints.create(p)),
  'endpoints.attach': verb(Type.Object({ id: Id, sandbox: Text }, Strict), (w, p) =>
    w.endpoints.attach(p.id, p.sandbox),
  ),
  'endpoints.detach': verb(One('id', Id), (w, p) => w.endpoints.detach(p.id as string)),
  'endpoints.remove': verb(One('id', Id), (w, p) => w.endpoints.remove(p.id as string)),
  'endpoints.list': verb(
    Type.Object(
      { network: Type.Optional(Text), everywhere: Type.Optional(Type.Boolean()), with: Type.Optional(Id) },
      Strict,
    ),
    (w, p) => w.endpoints.list(p),
  ),
  'endpoints.publish': verb(Type.Object({ id: Id, ports: Type.Array(Port) }, Strict), (w, p) =>
    w.endpoints.publish(p.id, p.ports),
  ),
  attach: verb(Attach, (w, { target, addresses, ...options }) => w.attach(target, addresses, options)),
  detach: verb(Detach, (w, { target, addresses, ...options }) => w.detach(target, addresses, options)),
  expose: verb(Expose, (w, { addresses, ...options }) => w.expose(addresses, options)),
  hide: verb(Hide, (w, { addresses, ...options }) => w.hide(addresses, options)),
  'bridges.attach': verb(Bridge, (w, { bridge, ...options }) => w.bridges.attach(bridge, options)),
  'bridges.detach': verb(Bridge, (w, { bridge, ...options }) => w.bridges.detach(bridge, options)),
  'names.add': verb(NameTarget, (w, p) => w.names.add(p)),
  'names.remove': verb(NameTarget, (w, p) => w.names.remove(p)),
  'names.list': verb(Type.Object({ of: Type.Optional(Type.String({ maxLength: 512 })) }, Strict), (w, p) =>
    w.names.list(p),
  ),
  'names.lookup': verb(One('name'), (w, p) => w.names.lookup(p.name as string)),
  'cluster.peers': verb(None, (w) => w.cluster.peers()),
  'cluster.pools': verb(None, (w) => w.cluster.pools()),
  'cluster.remove': verb(One('peer'), (w, p) => w.cluster.remove(p.peer as string)),
  'cluster.connect': verb(
    Type.Object({ peers: Type.Array(Text, { maxItems: 256 }), replace: Type.Optional(Type.Boolean()) }, Strict),
    (w, p) => w.cluster.connect(p.peers, { replace: p.replace }),
  ),
  'cluster.forget': verb(Type.Object({ peers: Type.Array(Text, { maxItems: 256 }) }, Strict), (w, p) =>
    w.cluster.forget(p.peers),
  ),
  'cluster.targets': verb(None, (w) => w.cluster.targets()),
  'cluster.connections': verb(None, (w) => w.cluster.connections()),
  'cluster.prime': verb(None, (w) => w.cluster.prime()),
  'cluster.rebuild': verb(None, (w) => w.cluster.rebuild()),
  'engine.report': verb(Snapshot, (w, p) => w.engine.report(p)),
  'engine.started': verb(Container, (w, p) => w.engine.started(p)),
  'engine.ended': verb(One('container', Id), (w, p) => w.engine.ended(p.container as string)),
  'engine.named': verb(Type.Object({ network: Id, name: Text }, Strict), (w, p) => w.engine.named(p.network, p.name)),
  'engine.removed': verb(One('container'), (w, p) => w.engine.removed(p.container as string)),
  'engine.compare': verb(Snapshot, (w, p) => w.engine.compare(p)),
  check: verb(Type.Object({ fix: Type.Optional(Type.Boolean()) }, Strict), (w, p) => w.check(p as { fix?: boolean })),
  status: verb(None, (w) => w.status()),
  overview: verb(None, (w) => w.overview()),
  reset: verb(None, (w) => w.reset()),
} satisfies Record<string, Verb>;

export type VerbName = keyof typeof VERBS;
export type Params<V extends VerbName> = Static<(typeof VERBS)[V]['params']>;
