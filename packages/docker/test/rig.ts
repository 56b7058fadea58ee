import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type Agent, type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type MemoryDatapath, type MemoryFirewall, memoryDatapath, memoryFirewall } from '@weave/core/testing';
import { type EngineContainer, open, type Weave, WeaveError } from '@weave/sdk';
import { type PluginOptions, servePlugin } from '../src/index.ts';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
}

export interface CallOptions {
  agent?: Agent;
  headers?: Record<string, string>;
  /** The body's own bytes in place of `body` as JSON. */
  raw?: string | Buffer;
  /** Without a Content-Length. */
  chunked?: boolean;
}

/** What the engine's HTTP client sends, unless told otherwise. */
export function call(socketPath: string, method: string, body?: unknown, options: CallOptions = {}): Promise<Answer> {
  const bytes = Buffer.from(options.raw ?? (body === undefined ? '' : JSON.stringify(body)));
  const headers = {
    accept: 'application/vnd.docker.plugins.v1.2+json',
    'user-agent': 'Go-http-client/1.1',
    host: '',
    ...(options.chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(bytes.length) }),
    ...options.headers,
  };
  return new Promise((resolve, reject) => {
    const wanted = { socketPath, path: `/${method}`, method: 'POST', headers, agent: options.agent ?? false };
    const sent = request(wanted, async (response) => {
      try {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(text) });
      } catch (error) {
        reject(error);
      }
    });
    sent.on('error', reject);
    sent.end(bytes);
  });
}

/** The plugin over a Weave of its own: everything is real but the kernel and its packet filter. */
export interface Rig extends AsyncDisposable {
  readonly weave: Weave;
  readonly dir: string;
  /** The first of the plugin's sockets. */
  readonly socket: string;
  readonly datapath: MemoryDatapath;
  /** What the host's packet filter was told last. */
  readonly firewall: MemoryFirewall;
  /** What can be attached, by name. */
  readonly containers: Map<string, EngineContainer>;
  call(method: string, body?: unknown, options?: CallOptions): Promise<Answer>;
  /** Everything there is, stored and in the kernel: equal before and after what changed nothing. */
  state(): string;
  /** As a daemon that stops and starts. */
  restart(): Promise<void>;
  /** Stops, and answers how many records of each kind are left in the store. */
  leftovers(): Promise<Record<string, number>>;
}

export async function createRig(plugin: PluginOptions = {}): Promise<Rig> {
  const dir = mkdtempSync(join(tmpdir(), 'weave-docker-'));
  const datapath = memoryDatapath();
  const firewall = memoryFirewall();
  const containers: Rig['containers'] = new Map();
  const sockets = plugin.sockets ?? [join(dir, 'weave.sock'), join(dir, 'weavemesh.sock')];
  let running = await start();
  let stopped = false;

  async function start() {
    const weave = await open({
      stateDir: dir,
      // The kernel outlives the daemon.
      datapath: { ...datapath, close: async () => undefined },
      firewall,
      switchFilter: memoryFirewall(),
      engine: {
        async container(name) {
          const found = containers.get(name);
          if (!found) throw new WeaveError('WEAVE_CONTAINER_NOT_FOUND', `there is no container ${name}`);
          return found;
        },
      },
    });
    return { weave, plugin: await servePlugin(weave, { ...plugin, sockets }) };
  }

  async function stop() {
    if (stopped) return;
    stopped = true;
    await running.plugin[Symbol.asyncDispose]();
    await running.weave.close();
  }

  return {
    get weave() {
      return running.weave;
    },
    dir,
    socket: sockets[0]!,
    datapath,
    firewall,
    containers,
    call: (method, body, options) => call(sockets[0]!, method, body, options),
    state() {
      const hash = createHash('sha256')
        .update(datapath.listing())
        .update(JSON.stringify(firewall.rules ?? null));
      for (const file of readdirSync(dir).sort())
        if (file.startsWith('weave.db')) hash.update(readFileSync(join(dir, file)));
      return hash.digest('hex');
    },
    async restart() {
      await running.plugin[Symbol.asyncDispose]();
      await running.weave.close();
      running = await start();
    },
    async leftovers() {
      await stop();
      const db = new DatabaseSync(join(dir, 'weave.db'), { readOnly: true });
      const rows = db.prepare('SELECT kind, count(*) AS n FROM record GROUP BY kind ORDER BY kind').all();
      db.close();
      return Object.fromEntries(rows.map(({ kind, n }) => [String(kind), Number(n)]));
    },
    async [Symbol.asyncDispose]() {
      await stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Nothing but what every host has: itself, and the default network with a pool of each family. */
export const EMPTY = { network: 1, peer: 1, pool: 2, self: 1 };

export const ID = {
  network: (n: number) => n.toString(16).padStart(64, 'a'),
  endpoint: (n: number) => n.toString(16).padStart(64, 'b'),
};

/** What the engine asks before a network is made, and the network. Answers its pool. */
export async function makeNetwork(rig: Rig, id: string, cidr: string, options: Record<string, string> = {}) {
  const asked = { AddressSpace: 'weave-local', Pool: cidr, SubPool: '', Options: {}, V6: cidr.includes(':') };
  const pool = (await rig.call('IpamDriver.RequestPool', asked)).body as { PoolID: string; Pool: string };
  const gateway = (await rig.call('IpamDriver.RequestAddress', { PoolID: pool.PoolID, Address: '' })).body;
  const data = { AddressSpace: 'weave-local', Pool: pool.Pool, Gateway: gateway.Address };
  await rig.call('NetworkDriver.CreateNetwork', {
    NetworkID: id,
    Options: { 'com.docker.network.generic': options },
    ...(cidr.includes(':') ? { IPv4Data: [], IPv6Data: [data] } : { IPv4Data: [data], IPv6Data: [] }),
  });
  return pool.PoolID;
}
