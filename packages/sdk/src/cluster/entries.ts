import {
  address,
  type Cidr,
  cidr,
  cidrInKey,
  contains,
  covers,
  type Endpoint,
  type Entry,
  formatCidr,
  keys,
  MOST_NAMES,
  type Name,
  type Network,
  networkOf,
  type Peer,
  type Pool,
  parseAddress,
  parseCidr,
  type Subnet,
  spelled,
} from '@weave/core';
import { Ajv, type ValidateFunction } from 'ajv';
import { type Static, type TSchema, Type } from 'typebox';

/** What other hosts wrote is read here, and nowhere else: an entry that is not what its key says does not exist. */

const Text = Type.String({ minLength: 1, maxLength: 255 });
const Id = Type.String({ pattern: '^[0-9a-z]{8,64}$' });
const PEER = /^[0-9a-f]{32}$/;
const PeerId = Type.String({ pattern: PEER.source });
const PoolId = Type.String({ format: 'pool' });
/** An address with its prefix length. */
const Addr = Type.String({ format: 'cidr' });
const Block = Type.String({ format: 'subnet' });
const Ip = Type.String({ format: 'address' });
/** A station's: neither of a group, nor the one that is for whatever is flooded. */
const Mac = Type.String({ pattern: '^(?!00:00:00:00:00:00)[0-9a-f][02468ace](:[0-9a-f]{2}){5}$' });
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
    // As it was given there: it is spelled where it is used.
    underlay: Type.Optional(Type.String({ format: 'address, however spelled' })),
    mtu: Type.Optional(Mtu),
  }),
  pool: Type.Object({
    id: PoolId,
    cidr: Block,
    grownFrom: Type.Optional(Type.Array(Block, { maxItems: 128 })),
    range: Type.Optional(Block),
    created: Type.Number({ minimum: 0 }),
    origin: Type.Optional(PeerId),
  }),
  network: Type.Object({
    id: Id,
    name: Text,
    vni: Type.Integer({ minimum: 1, maximum: 2 ** 24 - 1 }),
    subnets: Type.Array(
      Type.Object(
        { cidr: Block, gateway: Type.Optional(Ip), pool: Type.Optional(PoolId) },
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
    addresses: Type.Array(Addr, { maxItems: 256 }),
    mac: Mac,
    owner: Owner,
    container: Type.Optional(Type.Object({ id: Id, name: Text })),
    names: Type.Optional(Type.Array(DnsName, { maxItems: MOST_NAMES })),
    services: Type.Optional(Type.Array(Type.Object({ protocol: Protocol, port: Port }), { maxItems: MOST_NAMES })),
    // Nobody tells these, and here they would be carried out.
    sandbox: Type.Optional(Type.Never()),
    ports: Type.Optional(Type.Never()),
  }),
  name: Type.Object({ peer: PeerId, name: DnsName, address: Ip, container: Type.Optional(Id) }),
  wish: Type.Object({
    pool: PoolId,
    /** An address, or the part of the pool that any may be in. */
    address: Type.Optional(Ip),
    within: Type.Optional(Block),
    denied: Type.Optional(Type.String({ maxLength: 500 })),
    /** Nothing is asked: something of the pool is that host's, which it may not know. */
    given: Type.Optional(Type.Literal(true)),
  }),
} satisfies Record<string, TSchema>;

export type Wish = Static<typeof schemas.wish>;

const POOL = 'weave:';
const madeWith = (pool: string) => cidr(pool.slice(POOL.length));

function isCidr(text: string): boolean {
  const parsed = parseCidr(text);
  return parsed !== undefined && formatCidr(parsed) === text;
}

const isSubnet = (text: string): boolean => isCidr(text) && formatCidr(networkOf(cidr(text))) === text;

/** Spelled as we spell them: records are known by their text. */
const formats = {
  address: (text: string) => spelled(text) === text,
  'address, however spelled': (text: string) => parseAddress(text) !== undefined,
  cidr: isCidr,
  subnet: isSubnet,
  pool: (text: string) => text.startsWith(POOL) && isSubnet(text.slice(POOL.length)),
};

const ajv = new Ajv({ formats });

/** An entry's record, where it is one of its kind and `belongs`. */
function reader<T>(kind: keyof typeof schemas, belongs: (record: T, key: string) => boolean) {
  let validate: ValidateFunction | undefined;
  return ({ key, value }: Entry): T | undefined => {
    validate ??= ajv.compile(schemas[kind]);
    try {
      const record: unknown = JSON.parse(value);
      return validate(record) && belongs(record as T, key) ? (record as T) : undefined;
    } catch {
      return undefined;
    }
  };
}

/** It is called by the first of its sizes, and each is a part of the next. */
function isSoundPool({ id, cidr: now, grownFrom = [], range = now }: Pool): boolean {
  const sizes = [...grownFrom, now];
  const isInside = (part: string, at: number) => covers(cidr(sizes[at + 1] ?? now), cidr(part));
  return id === `${POOL}${sizes[0]}` && sizes.every(isInside) && covers(cidr(now), cidr(range));
}

const isSoundSubnet = ({ cidr: text, gateway, pool }: Subnet): boolean =>
  (gateway === undefined || contains(cidr(text), address(gateway))) &&
  (pool === undefined || covers(cidr(text), madeWith(pool)));

function isAsked({ pool }: Wish, key: string): boolean {
  const [, , , owner = '', asks = ''] = key.split('/');
  const [peer = ''] = asks.split('.');
  return PEER.test(peer) && key === keys.wish(owner, peer, pool);
}

/** Who owns a cell, as the directory has it. */
export interface Owned {
  cell: Cidr;
  peer: string;
  entry: Entry;
}

/** Of any pool: what fits into one is for who knows it to say. */
export function cellIn(entry: Entry): Owned | undefined {
  const text = cidrInKey(entry.key);
  return isSubnet(text) && PEER.test(entry.value) ? { cell: cidr(text), peer: entry.value, entry } : undefined;
}

export const clusterIn = reader<Static<typeof schemas.cluster>>('cluster', (_, key) => key === keys.cluster);
export const peerIn = reader<Peer>('peer', ({ id }, key) => key === keys.peer(id));
export const poolIn = reader<Pool>('pool', (pool, key) => key === keys.pool(pool.id) && isSoundPool(pool));
export const networkIn = reader<Network>(
  'network',
  ({ id, subnets }, key) => key === keys.network(id) && subnets.every(isSoundSubnet),
);
export const endpointIn = reader<Endpoint>('endpoint', (endpoint, key) => key === keys.endpoint(endpoint));
export const nameInEntry = reader<Name>('name', (name, key) => key === keys.name(name));
export const wishIn = reader<Wish>('wish', isAsked);
