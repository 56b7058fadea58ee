import { describeVerbs, FACES, listen, refusalOf, strictServer, type Weave, WeaveError } from '@weave/sdk';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { addressText, type ListenAddress } from './address.ts';
import { controlRoutes } from './control-routes.ts';
import { guard } from './guard.ts';
import { nameRoutes } from './name-routes.ts';
import { takesForms } from './parameters.ts';
import { statusRoutes } from './status-routes.ts';

export interface HttpOptions {
  address: ListenAddress;
  /** Only what tells, and nothing that changes. */
  readOnly: boolean;
  /** What to name where the address is taken. */
  option: string;
}

/** Weave 2.8's HTTP API, for `weave`. */
export async function serveHttp(weave: Weave, { address, readOnly, option }: HttpOptions): Promise<AsyncDisposable> {
  const app = strictServer({ forceCloseConnections: 'idle', frameworkErrors: refuse });
  guard(app, address);
  takesForms(app);
  app.setErrorHandler(refuse);
  app.setNotFoundHandler((_request, reply) => reply.status(404).send('404 page not found\n'));
  statusRoutes(app, weave);
  app.get('/openapi.json', async () => describeVerbs());
  if (!readOnly) {
    const { dns } = await weave.status();
    controlRoutes(app, weave);
    if (dns) nameRoutes(app, weave, dns);
  }
  try {
    await listen(app, address);
  } catch (error) {
    throw taken(error, address, option);
  }
  return { [Symbol.asyncDispose]: () => app.close() };
}

function refuse(error: FastifyError, _request: FastifyRequest, reply: FastifyReply) {
  const { kind, message } = refusalOf(error);
  return reply.status(FACES[kind].http).type('text/plain; charset=utf-8').send(`${message}\n`);
}

function taken(error: unknown, address: ListenAddress, option: string): unknown {
  const { cause } = error as { cause?: NodeJS.ErrnoException };
  if (cause?.code !== 'EADDRINUSE') return error;
  return new WeaveError('WEAVE_PORT_IN_USE', `somebody listens on ${addressText(address)} already`, {
    hint: `Choose another address, or none: --${option} off`,
    cause: error,
  });
}
