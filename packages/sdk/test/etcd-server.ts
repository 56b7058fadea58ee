import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A real etcd, Debian's, with its data in a folder of its own. */
export class EtcdServer implements AsyncDisposable {
  readonly endpoint: string;
  readonly #args: readonly string[];
  readonly #health: string;
  readonly #dir: string;
  #process: ChildProcess | undefined;

  private constructor(dir: string, endpoint: string, health: string, args: readonly string[]) {
    this.#dir = dir;
    this.#health = health;
    this.#args = args;
    this.endpoint = endpoint;
  }

  /** A cluster of so many, which answers. */
  static async start(flags: readonly string[] = [], count = 1): Promise<EtcdServer[]> {
    const scheme = flags.includes('--cert-file') ? 'https' : 'http';
    const free = (n: number) => Promise.all(Array.from({ length: n }, async () => `127.0.0.1:${await freePort()}`));
    const [clients, peers, metrics] = [await free(count), await free(count), await free(count)];
    const initial = peers.map((peer, n) => `m${n}=http://${peer}`).join(',');
    const servers = clients.map((endpoint, n) => {
      const dir = mkdtempSync(join(tmpdir(), 'weave-etcd-'));
      const [client, peer, health] = [`${scheme}://${endpoint}`, `http://${peers[n]}`, `http://${metrics[n]}`];
      return new EtcdServer(dir, endpoint, `${health}/health`, [
        ...['--name', `m${n}`, '--data-dir', join(dir, 'data'), '--initial-cluster', initial],
        ...['--logger', 'zap', '--log-level', 'error', '--listen-metrics-urls', health],
        ...['--listen-client-urls', client, '--advertise-client-urls', client],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, ...flags],
      ]);
    });
    await Promise.all(servers.map((server) => server.run()));
    return servers;
  }

  /** With the data that it has, until it answers: it listens long before. */
  async run(): Promise<void> {
    // It goes with this process, however that ends.
    const command = ['--pdeathsig', 'KILL', 'etcd', ...this.#args];
    const child = spawn('setpriv', command, { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    child.stderr.on('data', (chunk) => (log = `${log}${chunk}`.slice(-2000)));
    this.#process = child;
    for (let tries = 0; !(await isHealthy(this.#health)); tries++) {
      if (child.exitCode !== null || child.pid === undefined || tries > 500)
        throw new Error(`etcd (of Debian's etcd-server) did not come up: ${log}`);
      await delay(50);
    }
  }

  /** At once, without a farewell. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }

  /** Alive, but it does nothing any more. */
  freeze = () => this.#process!.kill('SIGSTOP');
  thaw = () => this.#process!.kill('SIGCONT');

  async loseData(): Promise<void> {
    await this.kill();
    rmSync(join(this.#dir, 'data'), { recursive: true });
    await this.run();
  }

  /** Keeps a copy of its data as it is now; answers how to put that back. */
  async backUp(): Promise<() => Promise<void>> {
    const [data, copy] = [join(this.#dir, 'data'), join(this.#dir, 'copy')];
    await this.kill();
    cpSync(data, copy, { recursive: true });
    await this.run();
    return async () => {
      await this.kill();
      rmSync(data, { recursive: true });
      renameSync(copy, data);
      await this.run();
    };
  }

  /** Asks by its other protocol, which Weave does not use. */
  async post(path: string, body: object, token = ''): Promise<{ header: { revision: string }; token?: string }> {
    const headers = token ? { authorization: token } : {};
    const request = { method: 'POST', headers, body: JSON.stringify(body) };
    const response = await fetch(`http://${this.endpoint}/v3/${path}`, request);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${text}`);
    return JSON.parse(text);
  }

  async compact(): Promise<void> {
    const { header } = await this.post('kv/range', { key: base64('/') });
    await this.post('kv/compaction', { revision: header.revision });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

export const base64 = (text: string) => Buffer.from(text).toString('base64');

/** A port of the loopback that nobody has now; not one of those that connections get (`ip_local_port_range`). */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

const isHealthy = (url: string) =>
  fetch(url, { signal: AbortSignal.timeout(1000) }).then(
    (response) => response.ok,
    () => false,
  );

/** A wire to an endpoint that can be cut: whatever is sent then is heard of no more, and nobody is told. */
export class Wire implements AsyncDisposable {
  readonly endpoint: string;
  readonly #server: ReturnType<typeof createServer>;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    this.endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async to(endpoint: string): Promise<Wire> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const wire = new Wire(server);
    server.on('connection', (near) => wire.#join(near, endpoint));
    return wire;
  }

  get connections(): number {
    return this.#sockets.size / 2;
  }

  #join(near: Socket, endpoint: string): void {
    const [host, port] = endpoint.split(':');
    const far = createConnection({ host: host!, port: Number(port) });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (chunk) => this.#isCut || to.write(chunk));
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#sockets.delete(from);
        if (!this.#isCut) to.destroy();
      });
    }
  }

  cut(): void {
    this.#isCut = true;
  }

  heal(): void {
    this.drop();
    this.#isCut = false;
  }

  /** Both ends of each connection are told that it is gone. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
