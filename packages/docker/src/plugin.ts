import { linkSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  FACES,
  type Log,
  listen,
  mustBeSilent,
  refusalOf,
  strictServer,
  unlistenable,
  type Weave,
  WeaveError,
} from '@weave/sdk';
import type { FastifyError, FastifyInstance } from 'fastify';
import { ipamDriver } from './ipam-driver.ts';
import type { Methods } from './method.ts';
import { type DriverOptions, networkDriver } from './network-driver.ts';

const CONTENT_TYPE = 'application/vnd.docker.plugins.v1.2+json';
export const PLUGIN_DIR = '/run/docker/plugins';
/** The second name is the one that scripts for Weave 2.8 use. */
export const PLUGIN_NAMES = ['weave', 'weavemesh'] as const;

/** For who is let in already to say what it wants. */
const LAST_ORDERS_MS = 50;

export interface PluginOptions extends DriverOptions {
  /** Names of one socket in one file system, by default {@link PLUGIN_NAMES}: the engine knows a driver by its socket's. */
  sockets?: readonly string[];
  log?: Log;
}

/** Answers the engine on its plugin sockets. Disposing finishes what is under way, then closes. */
export async function servePlugin(weave: Weave, options: PluginOptions = {}): Promise<AsyncDisposable> {
  const sockets = options.sockets ?? PLUGIN_NAMES.map((name) => `${PLUGIN_DIR}/${name}.sock`);
  const methods: Methods = {
    'Plugin.Activate': { answer: () => ({ Implements: ['NetworkDriver', 'IpamDriver'] }) },
    ...networkDriver(options),
    ...ipamDriver(),
  };
  let closing = false;
  const log = options.log ?? (() => undefined);
  const app = pluginServer(weave, { methods, log, isClosing: () => closing });
  const [first, ...others] = sockets;
  // A socket appears only when everything can be answered: the engine never asks again for capabilities that failed.
  for (const other of others) await mustBeSilent(other);
  await listen(app, first!);
  try {
    for (const other of others) alsoAt(first!, other);
  } catch (error) {
    await app.close();
    throw error;
  }
  return {
    // Whoever is cut off with a request written asks again, but with an empty body.
    [Symbol.asyncDispose]: async () => {
      closing = true;
      for (const socket of sockets) rmSync(socket, { force: true });
      await delay(LAST_ORDERS_MS);
      await app.close();
    },
  };
}

/** The same socket under another name. */
function alsoAt(socket: string, other: string): void {
  try {
    mkdirSync(dirname(other), { recursive: true, mode: 0o755 });
    rmSync(other, { force: true });
    linkSync(socket, other);
  } catch (error) {
    throw unlistenable(other, error);
  }
}

interface Parts {
  methods: Methods;
  log: Log;
  isClosing(): boolean;
}

function pluginServer(weave: Weave, { methods, log, isClosing }: Parts): FastifyInstance {
  const app = strictServer({
    // Engines up to 20.10.25 send an empty Host.
    http: { requireHostHeader: false },
    // A connection that closes under a request makes the engine repeat it with an empty body (moby #39331).
    keepAliveTimeout: 0,
    connectionTimeout: 0,
    requestTimeout: 0,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
  });
  app.server.headersTimeout = 0;
  app.removeAllContentTypeParsers();
  // The engine names no content type, or one of its own.
  app.addContentTypeParser('*', { parseAs: 'string' }, async (_request: unknown, text: string) => parse(text));
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const ours = refusalOf(error);
    log(ours.kind === 'bug' ? 'error' : 'warn', 'refused', { method: request.url, ...ours.toJSON() });
    return reply
      .status(FACES[ours.kind].http)
      .type(CONTENT_TYPE)
      .send(JSON.stringify(refusal(ours)));
  });
  app.setNotFoundHandler((request) => {
    throw new WeaveError('WEAVE_INVALID_REQUEST', `there is no method ${request.method} ${request.url.slice(0, 100)}`);
  });
  // Else the connection would stay open, and the server with it.
  app.addHook('onSend', async (_request, reply) => {
    if (isClosing()) reply.header('connection', 'close');
  });
  for (const [name, { body, answer }] of Object.entries(methods))
    app.post(`/${name}`, body ? { schema: { body } } : {}, async (request, reply) => {
      const begun = performance.now();
      const answered = await answer(weave, request.body as never);
      log('debug', 'answered', { method: name, ms: Math.round((performance.now() - begun) * 10) / 10 });
      return reply.type(CONTENT_TYPE).send(JSON.stringify(answered));
    });
  return app;
}

/** The NetworkDriver reads `Err`, the IpamDriver `Error`; the wrong one would be a silent success. */
function refusal({ message, hint }: WeaveError) {
  const text = hint ? `${message}. ${hint}` : message;
  return { Err: text, Error: text };
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new WeaveError('WEAVE_INVALID_REQUEST', 'the body is not JSON');
  }
}
