import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { PassThrough } from 'node:stream';
import { asWeaveError, FACES, WeaveError } from '@weave/core';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Weave, WeaveEvent } from './weave.ts';
import { VERBS } from './wire.ts';

/** Answers for `weave` on a unix socket, for root and its group only. Closes when what is under way is answered. */
export async function serve(weave: Weave, socket: string): Promise<AsyncDisposable> {
  const app = fastify({
    // What was sent is judged as it is: nothing is coerced, nothing dropped.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
    forceCloseConnections: 'idle',
    frameworkErrors: refuse,
  });
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
  const ours =
    error.validation || (error.statusCode ?? 500) < 500
      ? new WeaveError('WEAVE_INVALID_REQUEST', error.message)
      : asWeaveError(error);
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

/** A socket left over from a killed daemon is replaced; that none runs is the host store's to say. */
export async function listen(app: FastifyInstance, socket: string): Promise<void> {
  closePromptly(app);
  mkdirSync(dirname(socket), { recursive: true, mode: 0o755 });
  rmSync(socket, { force: true });
  await app.listen({ path: socket });
  chmodSync(socket, 0o660);
}

/** Closing waits for what is under way, and for nothing else. */
function closePromptly(app: FastifyInstance): void {
  const open = new Set<Socket>();
  let closing = false;
  app.server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  app.addHook('preClose', async () => {
    closing = true;
    // On which nothing was said yet: to Node they are not at rest, but begun.
    for (const socket of open) if (socket.bytesRead === 0) socket.destroy();
  });
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });
}
