import { CATALOGUE, type Code, WeaveError } from '@weave/core';
import { Ajv, type ValidateFunction } from 'ajv';
import { type Static, type TSchema, Type } from 'typebox';

export const PROTOCOL = 1;

const Strict = { additionalProperties: false };
const Epoch = Type.Integer({ minimum: 1 });
const Peer = Type.String({ pattern: '^[0-9a-z]{1,64}$' });
const Hex32 = Type.String({ pattern: '^[0-9a-f]{64}$' });
const Pem = Type.String({ pattern: '^-----BEGIN ', maxLength: 4096 });
const Cluster = Type.String({ pattern: '^[0-9a-f]{32}$' });
const Endpoints = Type.Array(Type.String({ pattern: '^https://[^/ ]+$', maxLength: 300 }), { maxItems: 32 });
/** Some of them: as many as are needed to find one that is there. */
const Hosts = Type.Record(Peer, Type.Array(Type.String({ maxLength: 300 }), { maxItems: 16 }), {
  maxProperties: 64,
  ...Strict,
});

/** Between hosts of one cluster: where its store is, and its hosts. */
const News = Type.Object({ endpoints: Endpoints, hosts: Hosts, epoch: Epoch }, Strict);

const Side = Type.Object(
  {
    peer: Peer,
    standing: Type.Union(['lone', 'single', 'settled', 'moving'].map((name) => Type.Literal(name))),
    cluster: Type.Optional(Cluster),
    able: Type.Boolean(),
    busy: Type.Optional(Type.Boolean()),
    first: Type.Optional(Peer),
  },
  Strict,
);

const Admission = Type.Object(
  {
    id: Cluster,
    secured: Type.Boolean(),
    ca: Type.Object({ cert: Pem, key: Pem }, Strict),
    endpoints: Endpoints,
    hosts: Hosts,
    epoch: Epoch,
  },
  Strict,
);

/**
 * What two hosts say to each other: both hello, first the one who asks; its meeting; the other's answer; and where the
 * one who asked is the one who lets the other in, its admission.
 */
const SCHEMAS = {
  /** Anything may follow in another version, so it is not strict. */
  hello: Type.Object({
    weave: Type.Integer(),
    peer: Peer,
    name: Type.String({ maxLength: 255 }),
    nonce: Hex32,
    password: Type.Boolean(),
    salt: Type.Optional(Hex32),
    cluster: Type.Optional(Cluster),
    able: Type.Boolean(),
    busy: Type.Optional(Type.Boolean()),
  }),
  meeting: Type.Object({ proof: Type.Optional(Hex32), side: Side, news: Type.Optional(News) }, Strict),
  answer: Type.Object(
    {
      proof: Type.Optional(Hex32),
      side: Side,
      /** Where the one who answers lets the other in. */
      admission: Type.Optional(Admission),
      news: Type.Optional(News),
    },
    Strict,
  ),
  admission: Type.Object({ admission: Type.Optional(Admission) }, Strict),
  taken: Type.Object({ taken: Type.Boolean() }, Strict),
  error: Type.Object({
    error: Type.Object({
      code: Type.String(),
      message: Type.String({ maxLength: 1000 }),
      hint: Type.String({ maxLength: 1000 }),
    }),
  }),
} satisfies Record<string, TSchema>;

type Kind = keyof typeof SCHEMAS;
export type Message<K extends Kind> = Static<(typeof SCHEMAS)[K]>;
export type Admission = Static<typeof Admission>;
export type News = Static<typeof News>;

const compiled = new Map<Kind, ValidateFunction>();
let ajv: Ajv | undefined;

const fits = (kind: Kind, message: unknown): boolean => {
  ajv ??= new Ajv();
  if (!compiled.has(kind)) compiled.set(kind, ajv.compile(SCHEMAS[kind]));
  return compiled.get(kind)!(message) as boolean;
};

/** A message of this kind; the other's error is thrown as ours, and what is neither refused. */
export function expect<K extends Kind>(kind: K, message: unknown): Message<K> {
  if (fits('error', message)) throw errorOf((message as Message<'error'>).error);
  if (!fits(kind, message))
    throw new WeaveError('WEAVE_INVALID_REQUEST', `what was said is no ${kind} of weave’s control protocol`);
  return message as Message<K>;
}

function errorOf({ code, message, hint }: Message<'error'>['error']): WeaveError {
  const known = Object.hasOwn(CATALOGUE, code) ? (code as Code) : 'WEAVE_PEER_UNREACHABLE';
  return new WeaveError(known, message, { hint });
}
