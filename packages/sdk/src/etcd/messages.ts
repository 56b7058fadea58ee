import { type AnyShape, type Read, shape, type Written } from './protobuf.ts';

/** The part of etcd's v3 protocol that Weave speaks, by its field numbers. */

const HEADER = shape({ revision: [3, 'int'] });

const KEY_VALUE = shape({ key: [1, 'text'], modRevision: [3, 'int'], value: [5, 'text'] });

const RANGE = shape({
  key: [1, 'text'],
  rangeEnd: [2, 'bytes'],
  limit: [3, 'int'],
  revision: [4, 'int'],
  countOnly: [9, 'bool'],
});
const RANGED = shape({ header: [1, HEADER], kvs: [2, [KEY_VALUE]], more: [3, 'bool'] });

const PUT = shape({ key: [1, 'text'], value: [2, 'text'], lease: [3, 'int'] });
const DELETE = shape({ key: [1, 'text'], rangeEnd: [2, 'bytes'] });

/** Without a `result` it asks whether both are equal. */
const COMPARE = shape({ target: [2, 'int'], key: [3, 'text'], modRevision: [6, 'int'], rangeEnd: [64, 'bytes'] });
/** A target: the revision of the last change, 0 when there is no such key. */
export const MOD_REVISION = 2;

const OPERATION = shape({ put: [2, PUT], delete: [3, DELETE] });
const TRANSACTION = shape({ compare: [1, [COMPARE]], success: [2, [OPERATION]] });
const TRANSACTED = shape({ header: [1, HEADER], succeeded: [2, 'bool'] });

const WATCH = shape({
  create: [1, shape({ key: [1, 'text'], rangeEnd: [2, 'bytes'], startRevision: [3, 'int'], watchId: [7, 'int'] })],
  cancel: [2, shape({ watchId: [1, 'int'] })],
});
const EVENT = shape({ type: [1, 'int'], kv: [2, KEY_VALUE] });
/** An event's type; any other wrote the key. */
export const DELETED = 1;
const WATCHED = shape({
  watchId: [2, 'int'],
  canceled: [4, 'bool'],
  compactRevision: [5, 'int'],
  cancelReason: [6, 'text'],
  events: [11, [EVENT]],
});

const LEASE = shape({ id: [1, 'int'] });
const GRANT = shape({ ttl: [1, 'int'], id: [2, 'int'] });
const GRANTED = shape({ header: [1, HEADER] });
const KEPT_ALIVE = shape({ ttl: [3, 'int'] });

const CREDENTIALS = shape({ name: [1, 'text'], password: [2, 'text'] });
const AUTHENTICATED = shape({ token: [2, 'text'] });

/** A procedure of etcd's: where it is, what it takes and what it answers. */
export interface Method<Q extends AnyShape, A extends AnyShape> {
  readonly path: string;
  readonly request: Q;
  readonly answer: A;
}

const method = <Q extends AnyShape, A extends AnyShape>(name: string, request: Q, answer: A): Method<Q, A> => ({
  path: `/etcdserverpb.${name}`,
  request,
  answer,
});

export const METHODS = {
  range: method('KV/Range', RANGE, RANGED),
  transact: method('KV/Txn', TRANSACTION, TRANSACTED),
  watch: method('Watch/Watch', WATCH, WATCHED),
  grantLease: method('Lease/LeaseGrant', GRANT, GRANTED),
  revokeLease: method('Lease/LeaseRevoke', LEASE, GRANTED),
  keepAlive: method('Lease/LeaseKeepAlive', LEASE, KEPT_ALIVE),
  authenticate: method('Auth/Authenticate', CREDENTIALS, AUTHENTICATED),
};

export type Watched = Read<typeof WATCHED>;
export type KeyEvent = Read<typeof EVENT>;
export type KeyValue = Read<typeof KEY_VALUE>;
export type Compare = Written<typeof COMPARE>;
export type Operation = Written<typeof OPERATION>;

/** All that begin with a prefix, as part of a request. There is no empty key, and in UTF-8 no byte 0xff. */
export const under = (prefix: string) => ({
  key: prefix || '\0',
  rangeEnd: Buffer.concat([Buffer.from(prefix), Buffer.from([0xff])]),
});
