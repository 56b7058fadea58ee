import { PassThrough } from 'node:stream';
import { FACES, WeaveError } from '@weave/core';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { metricsOf } from './metrics.ts';
import { describeVerbs } from './openapi.ts';
import { listen, refusalOf, strictServer } from './server.ts';
import type { Weave, WeaveEvent } from './weave.ts';
import { VERBS } from './wire.ts';

/** Answers for `weave` on a unix socket, for root and its group only. Closes when what is under way is answered. */
export async function serve(weave: Weave, socket: string): Promise<AsyncDisposable> {
  const app = strictServer({ forceCloseConnections: 'idle', frameworkErrors: refuse });
  app.setErrorHandler(refuse);
  app.setNotFoundHandler((request, reply) =>
    reply
      .status(400)
      .send({ error: new WeaveError('WEAVE_INVALID_REQUEST', `there is no ${request.method} ${request.url}`) }),
  );
  for (const [name, verb] of Object.entries(VERBS))
    app.post(`/v1/${name}`, { schema: { body: verb.params } }, async (request) => ({
      result: (await verb.call(weave, request.body as never)) ?? null,
    }));
  app.get('/metrics', async (_request, reply) => reply.type('text/plain; version=0.0.4').send(await metricsOf(weave)));
  app.get('/openapi.json', async () => describeVerbs());
  const listeners = new Set<AsyncIterableIterator<WeaveEvent>>();
  app.get('/v1/events', (_request, reply) => {
    const events = weave.events();
    listeners.add(events);
    return reply.type('application/x-ndjson').send(linesOf(events, () => listeners.delete(events)));
  });
  // Else it would wait for whoever listens.
  app.addHook('preClose', async () => {
    for (const events of listeners) await events.return?.();
  });
  await listen(app, socket);
  return { [Symbol.asyncDispose]: () => app.close() };
}

function refuse(error: FastifyError, _request: FastifyRequest, reply: FastifyReply) {
  const ours = refusalOf(error);
  return reply.status(FACES[ours.kind].http).send({ error: ours });
}

/** A line for each event; the first, an empty one, says that from now on nothing is missed. */
function linesOf(events: AsyncIterableIterator<WeaveEvent>, ended: () => void): PassThrough {
  const lines = new PassThrough();
  lines.write('\n');
  lines.on('close', async () => {
    ended();
    await events.return?.();
  });
  void (async () => {
    for await (const event of events) lines.write(`${JSON.stringify(event)}\n`);
    lines.end();
  })();
  return lines;
}
