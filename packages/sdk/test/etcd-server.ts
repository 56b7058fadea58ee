import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A real etcd, Debian's, with its data in a folder of its own. */
export class EtcdServer implements AsyncDisposable {
  readonly endpoint: string;
  readonly #args: readonly string[];
  readonly #port: number;
  readonly #dir: string;
  #process: ChildProcess | undefined;

  private constructor(dir: string, port: number, args: readonly string[]) {
    this.#dir = dir;
    this.#port = port;
    this.#args = args;
    this.endpoint = `127.0.0.1:${port}`;
  }

  /** A cluster of so many, which answers. */
  static async start(flags: readonly string[] = [], count = 1): Promise<EtcdServer[]> {
    const scheme = flags.includes('--cert-file') ? 'https' : 'http';
    const members = await Promise.all(Array.from({ length: count }, async (_, n) => ({ n, port: await freePort() })));
    const peers = await Promise.all(members.map(async () => `http://127.0.0.1:${await freePort()}`));
    const initial = peers.map((peer, n) => `m${n}=${peer}`).join(',');
    const servers = members.map(({ n, port }) => {
      const [dir, client] = [mkdtempSync(join(tmpdir(), 'weave-etcd-')), `${scheme}://127.0.0.1:${port}`];
      return new EtcdServer(dir, port, [
        ...['--name', `m${n}`, '--data-dir', join(dir, 'data'), '--initial-cluster', initial],
        ...['--logger', 'zap', '--log-level', 'error'],
        ...['--listen-client-urls', client, '--advertise-client-urls', client],
        ...['--listen-peer-urls', peers[n]!, '--initial-advertise-peer-urls', peers[n]!, ...flags],
      ]);
    });
    await Promise.all(servers.map((server) => server.run()));
    return servers;
  }

  /** With the data that it has; there when it listens, which it does once it belongs to its cluster. */
  async run(): Promise<void> {
    // It goes with this process, however that ends.
    const command = ['--pdeathsig', 'KILL', 'etcd', ...this.#args];
    const child = spawn('setpriv', command, { stdio: ['ignore', 'inherit', 'inherit'] });
    this.#process = child;
    for (let tries = 0; !(await isListening(this.#port)); tries++) {
      if (child.exitCode !== null || child.pid === undefined || tries > 1000)
        throw new Error(`etcd did not come up (exit code ${child.exitCode}); it is in Debian's etcd-server`);
      await delay(20);
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

  /** Asks by its other protocol, which Weave does not use. */
  async post(path: string, body: object): Promise<{ header: { revision: string } }> {
    const response = await fetch(`http://${this.endpoint}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) });
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

/** A port of the loopback that nobody has now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

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
