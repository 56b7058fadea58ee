import {
  type Endpoint,
  type Entry,
  keys,
  MOST_NAMES,
  type Name,
  type Network,
  type Peer,
  type Pool,
} from '@weave/core';
import { Ajv, type ValidateFunction } from 'ajv';
import { type Static, type TSchema, Type } from 'typebox';

/** What other hosts wrote is read here, and nowhere else: an entry that is not what its key says does not exist. */

const Text = Type.String({ minLength: 1, maxLength: 255 });
const Id = Type.String({ pattern: '^[0-9a-z]{8,64}$' });
const PeerId = Type.String({ pattern: '^[0-9a-f]{32}$' });
const Cidr = Type.String({ pattern: '^[0-9a-f.:]{2,45}/[0-9]{1,3}$' });
const Ip = Type.String({ pattern: '^[0-9a-f.:]{2,45}$' });
const Mac = Type.String({ pattern: '^([0-9a-f]{2}:){5}[0-9a-f]{2}$' });
const Owner = Type.Union([Type.Literal('weave'), Type.Literal('docker')]);
/** Lower case, of labels with letters, digits, hyphens and underscores. */
const DnsName = Type.String({ maxLength: 253, pattern: '^[a-z0-9_-]{1,63}(\\.[a-z0-9_-]{1,63})+$' });
const Protocol = Type.Union([Type.Literal('tcp'), Type.Literal('udp'), Type.Literal('sctp')]);
const Port = Type.Integer({ minimum: 0, maximum: 65535 });
const Mtu = Type.Integer({ minimum: 576, maximum: 65535 });

const schemas = {
  cluster: Type.Object({ id: Id, incarnation: Id }),
  peer: Type.Object({
    id: PeerId,
    name: Text,
    underlay: Type.Optional(Ip),
    mtu: Type.Optional(Mtu),
  }),
  pool: Type.Object({
    id: Text,
    cidr: Cidr,
    grownFrom: Type.Optional(Type.Array(Cidr, { maxItems: 128 })),
    range: Type.Optional(Cidr),
    created: Type.Number(),
    origin: Type.Optional(PeerId),
  }),
  network: Type.Object({
    id: Id,
    name: Text,
    vni: Type.Integer({ minimum: 1, maximum: 2 ** 24 - 1 }),
    subnets: Type.Array(
      Type.Object(
        { cidr: Cidr, gateway: Type.Optional(Ip), pool: Type.Optional(Text) },
        { additionalProperties: false },
      ),
      { maxItems: 16 },
    ),
    mtu: Type.Integer({ minimum: 1280, maximum: 65535 }),
    autoMtu: Type.Optional(Type.Literal(true)),
    multicast: Type.Boolean(),
    gateway: Type.Union([Type.Literal('engine'), Type.Literal('weave'), Type.Literal('none')]),
    internal: Type.Boolean(),
    owner: Owner,
    origin: Type.Optional(PeerId),
  }),
  endpoint: Type.Object({
    id: Id,
    network: Id,
    peer: PeerId,
    // None, of a bridge.
    addresses: Type.Array(Cidr, { maxItems: 256 }),
    mac: Mac,
    owner: Owner,
    container: Type.Optional(Type.Object({ id: Id, name: Text })),
    names: Type.Optional(Type.Array(DnsName, { maxItems: MOST_NAMES })),
    services: Type.Optional(Type.Array(Type.Object({ protocol: Protocol, port: Port }), { maxItems: MOST_NAMES })),
  }),
  name: Type.Object({ peer: PeerId, name: DnsName, address: Ip, container: Type.Optional(Id) }),
  wish: Type.Object({
    pool: Text,
    /** An address, or the part of the pool that any may be in. */
    address: Type.Optional(Ip),
    within: Type.Optional(Cidr),
    denied: Type.Optional(Type.String({ maxLength: 500 })),
  }),
} satisfies Record<string, TSchema>;

export type Wish = Static<typeof schemas.wish>;

const ajv = new Ajv();
const compiled = new Map<string, ValidateFunction>();

function reader<T>(name: keyof typeof schemas): (entry: Entry) => T | undefined {
  return ({ value }) => {
    const validate = compiled.get(name) ?? ajv.compile(schemas[name]);
    compiled.set(name, validate);
    try {
      const record: unknown = JSON.parse(value);
      return validate(record) ? (record as T) : undefined;
    } catch {
      return undefined;
    }
  };
}

export const clusterIn = reader<Static<typeof schemas.cluster>>('cluster');
export const peerIn = reader<Peer>('peer');
export const poolIn = reader<Pool>('pool');
export const networkIn = reader<Network>('network');
export const endpointIn = reader<Endpoint>('endpoint');
const namesOfKeys = reader<Name>('name');
/** One that is where it belongs. */
export function nameInEntry(entry: Entry): Name | undefined {
  const name = namesOfKeys(entry);
  return name && entry.key === keys.name(name) ? name : undefined;
}
export const wishIn = reader<Wish>('wish');
