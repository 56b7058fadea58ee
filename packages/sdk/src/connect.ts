import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CATALOGUE, type Code, WeaveError } from '@weave/core';
import { RUN_DIR, SOCKET } from './paths.ts';
import type { Weave, WeaveEvent } from './weave.ts';
import type { Params, VerbName } from './wire.ts';

export interface ConnectOptions {
  /** The daemon's unix socket; by default `/run/weave/weave.sock`. */
  socket?: string;
}

/** Weave in the daemon of this host. WEAVE_DAEMON_UNREACHABLE when none answers. */
export async function connect({ socket = join(RUN_DIR, SOCKET) }: ConnectOptions = {}): Promise<Weave> {
  const streams = new AbortController();
  const call = <V extends VerbName>(verb: V, params: Params<V>) => post(socket, verb, params) as Promise<never>;
  const close = async () => streams.abort();
  const weave: Weave = {
    networks: {
      create: (spec) => call('networks.create', spec as Params<'networks.create'>),
      list: () => call('networks.list', {}),
      inspect: (network) => call('networks.inspect', { network }),
      remove: (network) => call('networks.remove', { network }),
      adopt: (spec) => call('networks.adopt', spec as Params<'networks.adopt'>),
      forget: (id) => call('networks.forget', { id }),
    },
    pools: {
      request: (wanted) => call('pools.request', wanted as Params<'pools.request'>),
      release: (pool) => call('pools.release', { pool }),
      requestAddress: (pool, address) => call('pools.requestAddress', { pool, ...(address ? { address } : {}) }),
      releaseAddress: (pool, address) => call('pools.releaseAddress', { pool, address }),
    },
    endpoints: {
      create: (spec) => call('endpoints.create', spec as Params<'endpoints.create'>),
      attach: (id, sandbox) => call('endpoints.attach', { id, sandbox }),
      detach: (id) => call('endpoints.detach', { id }),
      remove: (id) => call('endpoints.remove', { id }),
      list: (filter = {}) => call('endpoints.list', filter as Params<'endpoints.list'>),
      publish: (id, ports) => call('endpoints.publish', { id, ports } as Params<'endpoints.publish'>),
    },
    attach: (target, addresses = [], { network } = {}) =>
      call('attach', { target, addresses: [...addresses], ...(network ? { network } : {}) }),
    detach: (target, addresses = [], { network } = {}) =>
      call('detach', { target, addresses: [...addresses], ...(network ? { network } : {}) }),
    engine: {
      report: (snapshot) => call('engine.report', snapshot as Params<'engine.report'>),
      started: (container) => call('engine.started', container as Params<'engine.started'>),
      named: (network, name) => call('engine.named', { network, name }),
      removed: (container) => call('engine.removed', { container }),
    },
    status: () => call('status', {}),
    reset: () => call('reset', {}),
    events: () => eventsOf(socket, streams.signal),
    close,
    [Symbol.asyncDispose]: close,
  };
  await weave.status();
  return weave;
}

const unreachable = (socket: string, cause: NodeJS.ErrnoException) =>
  cause.code === 'EACCES'
    ? new WeaveError('WEAVE_PERMISSION_DENIED', `no permission for ${socket}`, { cause, hint: 'Run as root.' })
    : new WeaveError('WEAVE_DAEMON_UNREACHABLE', `no weave daemon answers on ${socket}`, { cause });

function post(socketPath: string, verb: string, params: unknown): Promise<unknown> {
  const body = JSON.stringify(params);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path: `/v1/${verb}`, method: 'POST', headers }, async (response) => {
      try {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        resolve(unwrap(JSON.parse(text)));
      } catch (error) {
        reject(error);
      }
    });
    sent.on('error', (error) => reject(unreachable(socketPath, error)));
    sent.end(body);
  });
}

interface Answer {
  result?: unknown;
  error?: { code: string; message: string; hint: string };
}

/** The daemon's error, made an error again: its code, and what follows from it, is the same on both sides. */
function unwrap({ result, error }: Answer): unknown {
  if (!error) return result ?? undefined;
  const code = Object.hasOwn(CATALOGUE, error.code) ? (error.code as Code) : 'WEAVE_BUG';
  throw new WeaveError(code, error.message, { hint: error.hint });
}

async function* eventsOf(socketPath: string, signal: AbortSignal): AsyncIterableIterator<WeaveEvent> {
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    const sent = request({ socketPath, path: '/v1/events', signal }, resolve);
    sent.on('error', (error) => reject(unreachable(socketPath, error)));
    sent.end();
  });
  try {
    for await (const line of createInterface({ input: response })) if (line) yield JSON.parse(line) as WeaveEvent;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
