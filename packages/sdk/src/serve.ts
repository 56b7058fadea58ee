import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { asWeaveError, FACES, WeaveError } from '@weave/core';
import fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import type { Weave } from './weave.ts';
import { VERBS } from './wire.ts';

/** Answers for `weave` on a unix socket, for root and its group only. Closes when what is under way is answered. */
export async function serve(weave: Weave, socket: string): Promise<AsyncDisposable> {
  const app = fastify({
    // What was sent is judged as it is: nothing is coerced, nothing dropped.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
    forceCloseConnections: 'idle',
  });
  app.setErrorHandler<FastifyError>((error, _request, reply) => {
    const ours =
      error.validation || (error.statusCode ?? 500) < 500
        ? new WeaveError('WEAVE_INVALID_REQUEST', error.message)
        : asWeaveError(error);
    return reply.status(FACES[ours.kind].http).send({ error: ours });
  });
  app.setNotFoundHandler((request, reply) =>
    reply
      .status(400)
      .send({ error: new WeaveError('WEAVE_INVALID_REQUEST', `there is no ${request.method} ${request.url}`) }),
  );
  for (const [name, verb] of Object.entries(VERBS))
    app.post(`/v1/${name}`, { schema: { body: verb.params } }, async (request) => ({
      result: (await verb.call(weave, request.body as never)) ?? null,
    }));
  app.get('/v1/events', (_request, reply) => reply.type('application/x-ndjson').send(eventStream(weave)));
  await listen(app, socket);
  return { [Symbol.asyncDispose]: () => app.close() };
}

function eventStream(weave: Weave): Readable {
  const events = weave.events();
  const stream = Readable.from(
    (async function* () {
      // Says that from now on nothing is missed.
      yield '\n';
      for await (const event of events) yield `${JSON.stringify(event)}\n`;
    })(),
  );
  return stream;
}

/** A socket left over from a killed daemon is replaced; that none runs is the host store's to say. */
export async function listen(app: FastifyInstance, socket: string): Promise<void> {
  mkdirSync(dirname(socket), { recursive: true, mode: 0o755 });
  rmSync(socket, { force: true });
  await app.listen({ path: socket });
  chmodSync(socket, 0o660);
}
