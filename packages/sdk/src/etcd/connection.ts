import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { type ChannelCredentials, Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { fail, type WeaveError } from '@weave/core';
import { asFailure, needsNoUser } from './failure.ts';
import { METHODS, type Method } from './messages.ts';
import type { EtcdOptions } from './options.ts';
import { type AnyShape, decode, encode, type Read, type Written } from './protobuf.ts';

/** How long an answer is waited for. */
export const PATIENCE_MS = 3000;

/** The way to one member of an etcd. What fails is an error of ours. */
export interface Connection {
  readonly endpoint: string;
  ask<Q extends AnyShape, A extends AnyShape>(method: Method<Q, A>, request: Written<Q>): Promise<Read<A>>;
  /** Asks and is answered any number of times, until either end has enough. */
  talk<Q extends AnyShape, A extends AnyShape>(method: Method<Q, A>, ear: Ear<A>): Talk<Q>;
  close(): void;
}

export interface Ear<A extends AnyShape> {
  hear(answer: Read<A>): void;
  /** Once, and not after we ended it. */
  ended(error: WeaveError): void;
}

export interface Talk<Q extends AnyShape> {
  say(request: Written<Q>): void;
  end(): void;
}

/** Reconnecting, choosing among endpoints and asking again are ours: what one connection does ends with it. */
const CHANNEL = {
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.enable_channelz': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.max_receive_message_length': -1,
};

/** Connects, and proves who we are where a user was given. */
export async function connectTo(endpoint: string, options: EtcdOptions): Promise<Connection> {
  const ending = new AbortController();
  const proof = endingWith(ending.signal, credentialsFor(endpoint, options));
  const client = new Client(endpoint, proof, { ...CHANNEL, ...nameFor(endpoint, options) });
  const close = () => {
    client.close();
    ending.abort();
  };
  const connection = connectionOver(client, endpoint, new Metadata(), close);
  if (!options.user) return connection;
  try {
    const { token } = await connection.ask(METHODS.authenticate, options.user);
    const metadata = new Metadata();
    metadata.set('token', token);
    return connectionOver(client, endpoint, metadata, close);
  } catch (error) {
    if (needsNoUser(error)) return connection;
    connection.close();
    throw error;
  }
}

function connectionOver(client: Client, endpoint: string, metadata: Metadata, close: () => void): Connection {
  // A member that has lost the others ends what it cannot serve.
  metadata.set('hasleader', 'true');
  return {
    endpoint,
    ask: ({ path, request: shape, answer }, request) =>
      new Promise((resolve, reject) =>
        client.makeUnaryRequest(
          path,
          (message: typeof request) => encode(shape, message),
          (bytes) => decode(answer, bytes),
          request,
          metadata,
          { deadline: Date.now() + PATIENCE_MS },
          (error, value) => (error ? reject(asFailure(error, endpoint)) : resolve(value!)),
        ),
      ),
    talk({ path, request: shape, answer }, ear) {
      const stream = client.makeBidiStreamRequest(
        path,
        (message: Written<typeof shape>) => encode(shape, message),
        (bytes) => decode(answer, bytes),
        metadata,
      );
      let isEnded = false;
      const ended = (error: Partial<ServiceError>) => {
        if (isEnded) return;
        isEnded = true;
        ear.ended(asFailure({ code: 14, details: 'it ended the conversation', ...error } as ServiceError, endpoint));
      };
      stream.on('data', (value) => isEnded || ear.hear(value));
      stream.on('error', ended);
      stream.on('end', () => ended({}));
      return {
        say: (request) => void stream.write(request),
        end() {
          isEnded = true;
          stream.cancel();
        },
      };
    },
    close,
  };
}

/** A client that is closed waits for the other end to close too, and a hung one never does: so its sockets are ended. */
function endingWith(signal: AbortSignal, made: ChannelCredentials): ChannelCredentials {
  const createConnector = made._createSecureConnector.bind(made);
  made._createSecureConnector = (...args) => {
    const connector = createConnector(...args);
    const connect = connector.connect.bind(connector);
    connector.connect = (socket) => {
      if (signal.aborted) socket.destroy();
      signal.addEventListener('abort', () => socket.destroy());
      return connect(socket);
    };
    return connector;
  };
  return made;
}

/** WEAVE_INVALID_OPTION where a certificate or a key cannot be read. */
export function credentialsFor(endpoint: string, { tls }: EtcdOptions): ChannelCredentials {
  if (!tls) return credentials.createInsecure();
  const [ca, key, cert] = [tls.ca, tls.key, tls.cert].map((pem) => (pem === undefined ? null : Buffer.from(pem)));
  const host = hostOf(endpoint);
  try {
    // OpenSSL takes a text without certificates for no authority at all.
    if (tls.ca !== undefined) new X509Certificate(tls.ca);
    return credentials.createSsl(ca, key, cert, {
      checkServerIdentity: (_, shown) => checkServerIdentity(host, shown),
    });
  } catch (error) {
    return fail('WEAVE_INVALID_OPTION', `the certificates for etcd: ${(error as Error).message}`, { cause: error });
  }
}

/** The name that is asked for in TLS: it may be no address. What is shown is checked against the endpoint all the same. */
function nameFor(endpoint: string, { tls }: EtcdOptions) {
  return tls && isIP(hostOf(endpoint)) > 0 ? { 'grpc.ssl_target_name_override': 'etcd' } : {};
}

const hostOf = (endpoint: string) => endpoint.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
