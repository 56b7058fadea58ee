import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { asWeaveError, isWeaveError, WeaveError } from '@weave/core';
import { Ajv, type ValidateFunction } from 'ajv';
import fastify, { type FastifyError, type FastifyHttpOptions, type FastifyInstance } from 'fastify';

/**
 * A server that judges what was sent as it is: nothing is coerced, nothing dropped. A route's schema is compiled when it
 * is first needed: all of them would be a third of the daemon's start, and ten megabytes.
 */
export function strictServer(options: FastifyHttpOptions<Server>): FastifyInstance {
  const app = fastify(options);
  const ajv = new Ajv();
  app.setValidatorCompiler(({ schema }) => {
    let compiled: ValidateFunction | undefined;
    const validate = (data: unknown) => {
      compiled ??= ajv.compile(schema as object);
      const valid = compiled(data);
      validate.errors = compiled.errors ?? null;
      return valid;
    };
    validate.errors = null as NonNullable<ValidateFunction['errors']> | null;
    return validate;
  });
  return app;
}

/** What fastify found wrong with a request, or what its answer failed with. */
export const refusalOf = (error: FastifyError): WeaveError =>
  error.validation || (error.statusCode ?? 500) < 500
    ? new WeaveError('WEAVE_INVALID_REQUEST', error.message)
    : asWeaveError(error);

/** WEAVE_ALREADY_RUNNING where somebody answers: whoever takes his socket's name cuts him off, and he does not notice. */
export async function mustBeSilent(socket: string): Promise<void> {
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect(socket, () => {
      probe.destroy();
      resolve(true);
    });
    // EAGAIN: more have called than he can hear.
    probe.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'EAGAIN'));
  });
  if (answered) throw new WeaveError('WEAVE_ALREADY_RUNNING', `somebody answers on ${socket} already`);
}

/** On a unix socket, or on an address. */
export async function listen(app: FastifyInstance, where: string | { host: string; port: number }): Promise<void> {
  closePromptly(app);
  try {
    if (typeof where === 'string') await listenAt(app, where);
    else await app.listen(where);
  } catch (error) {
    await app.close();
    if (isWeaveError(error)) throw error;
    throw unlistenable(typeof where === 'string' ? where : `${where.host}, port ${where.port}`, error);
  }
}

/** A socket left over from a killed daemon is replaced; one that somebody answers on is not. */
async function listenAt(app: FastifyInstance, socket: string): Promise<void> {
  mkdirSync(dirname(socket), { recursive: true, mode: 0o755 });
  await mustBeSilent(socket);
  rmSync(socket, { force: true });
  // Of a unix socket a full queue is EAGAIN for whoever connects; the kernel cuts this down to net.core.somaxconn.
  await app.listen({ path: socket, backlog: 4096 });
  chmodSync(socket, 0o660);
}

export const unlistenable = (where: string, cause: unknown): WeaveError => {
  const { code, message } = cause as NodeJS.ErrnoException;
  const what = `cannot listen on ${where}: ${message}`;
  const denied = code === 'EACCES' || code === 'EPERM';
  return new WeaveError(denied ? 'WEAVE_PERMISSION_DENIED' : 'WEAVE_INVALID_REQUEST', what, {
    cause,
    hint: 'Remove what is there, or name another place.',
  });
};

const SILENCE_MS = 500;

/** Closing waits for what is under way, and hardly for anything else. */
function closePromptly(app: FastifyInstance): void {
  const open = new Set<Socket>();
  let closing = false;
  app.server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  app.addHook('preClose', async () => {
    closing = true;
    // On which nothing was said yet: to Node they are not at rest, but begun. On a slow machine it may be on its way.
    const silent = () => [...open].filter((socket) => socket.bytesRead === 0);
    for (let waited = 0; waited < SILENCE_MS && silent().length > 0; waited += 10) await delay(10);
    for (const socket of silent()) socket.destroy();
  });
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });
}
