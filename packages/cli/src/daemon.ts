import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { serveNames } from '@weave/dns';
import { checkedWithEngine, followEngine, PLUGIN_NAMES, servePlugin } from '@weave/docker';
import {
  DNS_ADDRESS,
  type EtcdOptions,
  installWait,
  type Log,
  mustBeSilent,
  open,
  parseEtcdAddress,
  SOCKET,
  serve,
  type Weave,
  WeaveError,
} from '@weave/sdk';
import Docker from 'dockerode';
import { pino } from 'pino';
import { parseListenAddress } from './http/address.ts';
import { serveHttp } from './http/serve.ts';
import { feedNames } from './names.ts';
import type { DaemonOptions, LogLevel } from './options.ts';

export { open };

export interface RunOptions {
  stateDir: string;
  runDir: string;
  /** Where to answer the engine. */
  sockets: readonly string[];
  nameserver?: string;
  logLevel: LogLevel;
  /** Absent: hosts that connect run it themselves. */
  etcd?: EtcdOptions | undefined;
  underlay?: string[] | undefined;
  /** Of the cluster that hosts make by themselves. */
  password?: string | undefined;
  peers?: string[] | undefined;
  /** Where 2.8's HTTP API is, and where what of it only tells; by default nowhere. */
  httpAddr?: string;
  statusAddr?: string;
  /** Absent: containers have no names. */
  domain?: string | undefined;
  dnsOrder?: DaemonOptions['dnsOrder'];
  /** In seconds, how long others may keep an answer. */
  dnsTtl?: number;
  /** Of the default network. */
  ipallocRange?: string[];
  nickname?: string;
}

/** What the command line says of the store that hosts share. WEAVE_INVALID_OPTION. */
export function etcdOf({ store, storeCa, storeCert, storeKey, storeUser }: DaemonOptions): EtcdOptions | undefined {
  if (store === undefined) return undefined;
  const { endpoints, isSecure } = parseEtcdAddress(store);
  const files = Object.entries({ ca: storeCa, cert: storeCert, key: storeKey });
  const tls = Object.fromEntries(files.flatMap(([name, file]) => (file ? [[name, pem(file)]] : [])));
  const [, name, password] = /^([^:]+):(.*)$/.exec(storeUser ?? '') ?? [];
  if (storeUser && name === undefined)
    throw new WeaveError('WEAVE_INVALID_OPTION', 'the user of the store is not name:password', {
      hint: 'Write it as WEAVE_STORE_USER=weave:secret.',
    });
  return {
    endpoints,
    ...(isSecure || Object.keys(tls).length > 0 ? { tls } : {}),
    ...(name && password !== undefined ? { user: { name, password } } : {}),
  };
}

function pem(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new WeaveError('WEAVE_INVALID_OPTION', `${file} cannot be read: ${(error as Error).message}`, {
      hint: 'Name files in PEM format.',
    });
  }
}

/** One socket for each name that the driver has. */
export const socketsIn = (pluginDir: string) => PLUGIN_NAMES.map((name) => join(pluginDir, `${name}.sock`));

/** The SDK in this process with its faces on, until a signal says stop; what is under way then is finished first. */
export async function runDaemon(options: RunOptions): Promise<void> {
  // Memory before speed: what a burst of garbage makes V8 take, it would hold for good.
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--optimize-for-size');
  // Else garbage of days is kept, as nothing forces its collection.
  setFlagsFromString('--heap-growing-percent=10');
  // Little is done often enough for it to pay, and the compiler is 4 MB of code that then need not be there.
  setFlagsFromString('--no-opt');
  const log = logger(options.logLevel);
  // So that a file that may not grow is an error like any other.
  process.on('SIGXFSZ', () => undefined);
  const stop = stopSignal();
  const { stateDir, runDir, sockets, nameserver, etcd, underlay, domain } = options;
  // Also where they would be refused later: by then the host's packet filter is this one's.
  for (const socket of [...sockets, join(runDir, SOCKET)]) await mustBeSilent(socket);
  const { password, peers } = options;
  const sharing = { ...(etcd ? { etcd } : { managed: { password, targets: peers ?? [] } }), underlay };
  const { nickname: name, ipallocRange: defaultSubnets } = options;
  await using weave = await open({ stateDir, runDir, log, sharing, domain, name, defaultSubnets });
  await using _names = domain === undefined ? undefined : await answerNames(weave, { ...options, domain, log, stop });
  installWait(stateDir, log);
  await using _plugin = await servePlugin(weave, { sockets, nameserver, log });
  const docker = new Docker();
  const checked = checkedWithEngine(weave, docker);
  await using _api = await serve(checked, join(runDir, SOCKET));
  await using _http = await serveAt(checked, options);
  const following = followEngine(weave, docker, log, stop);
  const { version, pid, networks, endpoints } = await weave.status();
  log('info', 'ready', { version, pid, networks, endpoints });
  await aborted(stop);
  log('info', 'stopping', { reason: String(stop.reason) });
  await following;
}

async function serveAt(weave: Weave, { httpAddr = '', statusAddr = '' }: RunOptions): Promise<AsyncDisposableStack> {
  await using stack = new AsyncDisposableStack();
  const places = [
    { text: httpAddr, option: 'http-addr', readOnly: false },
    { text: statusAddr, option: 'status-addr', readOnly: true },
  ];
  for (const { text, ...how } of places) {
    const address = parseListenAddress(text);
    if (address !== undefined) stack.use(await serveHttp(weave, { address, ...how }));
  }
  return stack.move();
}

interface Answering extends Pick<RunOptions, 'runDir' | 'dnsOrder' | 'dnsTtl'> {
  domain: string;
  log: Log;
  stop: AbortSignal;
}

/** Answers whoever is on a network, at the address that its bridge has; what goes on is known from then on. */
async function answerNames(weave: Weave, asked: Answering): Promise<AsyncDisposable> {
  const { domain, dnsOrder: order, dnsTtl: ttl, log, stop } = asked;
  const netns = join(asked.runDir, 'netns');
  const names = await serveNames({
    listen: ['0.0.0.0', '::'].map((address) => ({ netns, address })),
    domain,
    order,
    ttl,
    own: Object.values(DNS_ADDRESS),
    warn: (message) => log('warn', message),
  });
  await feedNames(weave, names, log, stop);
  return names;
}

/** Answers the engine on behalf of a daemon that runs already. */
export async function runPlugin(weave: Weave, options: RunOptions): Promise<void> {
  const log = logger(options.logLevel);
  const stop = stopSignal();
  await using _plugin = await servePlugin(weave, { sockets: options.sockets, nameserver: options.nameserver, log });
  log('info', 'answering for the daemon', { sockets: options.sockets });
  await aborted(stop);
}

function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort(signal));
  return stop.signal;
}

const aborted = (signal: AbortSignal) => signal.aborted || once(signal, 'abort');

/** So much of a log that cannot be written is kept for when it can. */
const UNWRITTEN_MAX = 64 * 1024;

function logger(level: LogLevel): Log {
  const destination = pino.destination({ dest: 2, sync: true, maxLength: UNWRITTEN_MAX });
  // A disk that is full of logs shall not end the daemon.
  destination.on('error', () => undefined);
  const out = pino(
    { level: level === 'warning' ? 'warn' : level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    destination,
  );
  return (at, message, fields = {}) => out[at](fields, message);
}
