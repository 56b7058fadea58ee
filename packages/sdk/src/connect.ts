import type { IncomingMessage, RequestOptions } from 'node:http';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { CATALOGUE, type Code, isWeaveError, WeaveError } from '@weave/core';
import { createEvents, type Events } from './events.ts';
import { RUN_DIR, SOCKET } from './paths.ts';
import type { Weave } from './weave.ts';
import type { Params, VerbName } from './wire.ts';

// Importing a built-in module reads all that it exports, and with some of node:http's comes undici: 25 ms, as long as
// all else that a command does.
const { request } = process.getBuiltinModule('node:http');

/** How the daemon is reached, and what to call that. */
interface Way {
  name: string;
  dial?: (() => Promise<Duplex>) | undefined;
}

/** Without an agent, which takes a unix socket for a host whose name it has to look into. */
const over = ({ name, dial }: Way): RequestOptions => ({
  createConnection: dial
    ? (_options, done) => {
        dial().then(
          (stream) => done(null, stream),
          (error) => done(error, undefined as never),
        );
        return undefined;
      }
    : () => connectSocket(name),
  setHost: false,
  headers: { host: 'weave' },
});

export interface ConnectOptions {
  /** The daemon's unix socket; by default `/run/weave/weave.sock`. */
  socket?: string;
  /** Another way to that socket, such as through a tunnel; each call makes a connection of its own. */
  dial?: () => Promise<Duplex>;
  /** Whether to find out first that a daemon answers, or leave that to the first verb; by default first. */
  check?: boolean;
}

/** Weave in the daemon of this host. WEAVE_DAEMON_UNREACHABLE when none answers. */
export async function connect(options: ConnectOptions = {}): Promise<Weave> {
  const { socket = join(RUN_DIR, SOCKET), dial, check = true } = options;
  const way = { name: socket, dial };
  const open = new Set<Events>();
  const beginning = new Set<Promise<void>>();
  const inTurn = atMost(AT_ONCE);
  /** A verb is not asked for before the daemon knows of those who listen already. */
  async function call<V extends VerbName>(verb: V, params: Params<V>): Promise<never> {
    await Promise.allSettled(beginning);
    return (await inTurn(() => post(way, verb, params))) as never;
  }
  function events(): Events {
    const { begun, events: listening } = eventsOf(way, () => open.delete(listening));
    open.add(listening);
    const ready = begun.finally(() => beginning.delete(ready));
    ready.catch(() => undefined); // whoever asks for the next event is told
    beginning.add(ready);
    return listening;
  }
  const close = async () => {
    for (const listening of open) await listening.return();
  };
  const weave: Weave = {
    networks: {
      create: (spec) => call('networks.create', spec as Params<'networks.create'>),
      list: () => call('networks.list', {}),
      inspect: (network) => call('networks.inspect', { network }),
      grow: (network, subnet) => call('networks.grow', { network, subnet }),
      remove: (network) => call('networks.remove', { network }),
      adopt: (spec) => call('networks.adopt', spec as Params<'networks.adopt'>),
      forget: (id) => call('networks.forget', { id }),
    },
    pools: {
      request: (wanted) => call('pools.request', wanted as Params<'pools.request'>),
      release: (pool) => call('pools.release', { pool }),
      requestAddress: (pool, address) =>
        call('pools.requestAddress', { pool, ...(address === undefined ? {} : { address }) }),
      releaseAddress: (pool, address) => call('pools.releaseAddress', { pool, address }),
      grants: () => call('pools.grants', {}),
    },
    endpoints: {
      create: (spec) => call('endpoints.create', spec as Params<'endpoints.create'>),
      attach: (id, sandbox) => call('endpoints.attach', { id, sandbox }),
      detach: (id) => call('endpoints.detach', { id }),
      remove: (id) => call('endpoints.remove', { id }),
      list: (filter = {}) => call('endpoints.list', filter as Params<'endpoints.list'>),
      publish: (id, ports) => call('endpoints.publish', { id, ports } as Params<'endpoints.publish'>),
    },
    attach: (target, addresses = [], { addHosts, ...options } = {}) => {
      const names = addHosts ? { addHosts: [...addHosts] } : {};
      return call('attach', { target, addresses: [...addresses], ...options, ...names } as Params<'attach'>);
    },
    detach: (target, addresses = [], options = {}) =>
      call('detach', { target, addresses: [...addresses], ...options } as Params<'detach'>),
    expose: (addresses = [], options = {}) =>
      call('expose', { addresses: [...addresses], ...options } as Params<'expose'>),
    hide: (addresses = [], options = {}) => call('hide', { addresses: [...addresses], ...options } as Params<'hide'>),
    names: {
      add: (target) => call('names.add', target as Params<'names.add'>),
      remove: (target) => call('names.remove', target as Params<'names.remove'>),
      list: (filter = {}) => call('names.list', filter as Params<'names.list'>),
      lookup: (name) => call('names.lookup', { name }),
    },
    bridges: {
      attach: (bridge, options = {}) => call('bridges.attach', { bridge, ...options } as Params<'bridges.attach'>),
      detach: (bridge, options = {}) => call('bridges.detach', { bridge, ...options } as Params<'bridges.detach'>),
    },
    cluster: {
      peers: () => call('cluster.peers', {}),
      pools: () => call('cluster.pools', {}),
      remove: (peer) => call('cluster.remove', { peer }),
      connect: (peers, { replace = false } = {}) => call('cluster.connect', { peers: [...peers], replace }),
      forget: (peers) => call('cluster.forget', { peers: [...peers] }),
      targets: () => call('cluster.targets', {}),
      connections: () => call('cluster.connections', {}),
      prime: () => call('cluster.prime', {}),
      rebuild: () => call('cluster.rebuild', {}),
    },
    engine: {
      report: (snapshot) => call('engine.report', snapshot as Params<'engine.report'>),
      started: (container) => call('engine.started', container as Params<'engine.started'>),
      ended: (container) => call('engine.ended', { container }),
      named: (network, name) => call('engine.named', { network, name }),
      removed: (container) => call('engine.removed', { container }),
      compare: (snapshot) => call('engine.compare', snapshot as Params<'engine.compare'>),
    },
    check: (options = {}) => call('check', options),
    status: () => call('status', {}),
    overview: () => call('overview', {}),
    reset: () => call('reset', {}),
    events,
    close,
    [Symbol.asyncDispose]: close,
  };
  if (check) await weave.status();
  return weave;
}

/** Each is a connection; a program that attaches thousands shall not have as many open. */
const AT_ONCE = 500;

/** Runs work, so much of it at once and the rest in the order of asking. */
function atMost(limit: number) {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running === limit) await new Promise<void>((go) => waiting.push(go));
    else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}

function unreachable(socket: string, cause: unknown): WeaveError {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'EACCES')
    return new WeaveError('WEAVE_PERMISSION_DENIED', `no permission for ${socket}`, { cause, hint: 'Run as root.' });
  const none = code === 'ENOENT' || code === 'ECONNREFUSED';
  if (none) return new WeaveError('WEAVE_DAEMON_UNREACHABLE', `no weave daemon answers on ${socket}`, { cause });
  return new WeaveError('WEAVE_DAEMON_UNREACHABLE', `no answer of a weave daemon on ${socket}: ${message}`, {
    cause,
    hint: 'Something listens there: try again, and see what the daemon logs.',
  });
}

function post(way: Way, verb: string, params: unknown): Promise<unknown> {
  const body = JSON.stringify(params);
  const { headers, ...there } = over(way);
  const described = { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const failed = (error: unknown) => reject(isWeaveError(error) ? error : unreachable(way.name, error));
    const sent = request({ ...there, path: `/v1/${verb}`, method: 'POST', headers: described }, async (response) => {
      try {
        resolve(unwrap(await textOf(response)));
      } catch (error) {
        failed(error);
      }
    });
    sent.on('error', failed);
    sent.end(body);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

/** The daemon's error, made an error again: its code, and what follows from it, is the same on both sides. */
function unwrap(text: string): unknown {
  const answer = JSON.parse(text) as { result?: unknown; error?: { code: string; message: string; hint: string } };
  if (answer.error) {
    const { code, message, hint } = answer.error;
    throw new WeaveError(Object.hasOwn(CATALOGUE, code) ? (code as Code) : 'WEAVE_BUG', message, { hint });
  }
  // Whoever else listens there may speak JSON too.
  if (!('result' in answer)) throw new Error('it speaks another language');
  return answer.result ?? undefined;
}

/** `begun` when nothing is missed from then on. */
function eventsOf(way: Way, ended: () => void): { begun: Promise<void>; events: Events } {
  const { emit, subscribe, end, fail } = createEvents();
  const events = subscribe();
  const closing = new AbortController();
  const begun = new Promise<void>((resolve, reject) => {
    const failed = (error: Error) => {
      reject(error);
      if (!closing.signal.aborted) fail(isWeaveError(error) ? error : unreachable(way.name, error));
    };
    const sent = request({ ...over(way), path: '/v1/events', signal: closing.signal }, (response) => {
      // The first line is empty, and says that the daemon listens.
      const lines = process.getBuiltinModule('node:readline').createInterface({ input: response });
      lines.on('line', (line) => (line ? emit(JSON.parse(line)) : resolve()));
      lines.on('error', failed);
      response.on('end', end);
    });
    sent.on('error', failed).on('close', ended);
    sent.end();
  });
  return {
    begun,
    events: {
      ...events,
      return: () => {
        closing.abort();
        return events.return();
      },
    },
  };
}
