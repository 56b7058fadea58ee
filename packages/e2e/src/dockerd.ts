import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { childOf, type SpawnOptions } from './process.ts';

const startLimitMs = 60_000;
const stopLimitMs = 30_000;

/** What the engine needs of the host that it runs on. */
interface EngineHost {
  readonly name: string;
  spawn(argv: readonly string[], options?: SpawnOptions): ChildProcess;
  path(inside: string): string;
}

/** The Docker engine of a host. */
export class Dockerd {
  readonly #host: EngineHost;
  readonly #logPath: string;
  readonly #cgroup: string;
  #process: ChildProcess | undefined;
  #args: readonly string[] = [];

  constructor(host: EngineHost, logPath: string, cgroup: string) {
    this.#host = host;
    this.#logPath = logPath;
    this.#cgroup = cgroup;
  }

  /** As seen from outside; undefined when the engine does not run. */
  get pid(): number | undefined {
    return this.#running() ? childOf(this.#process!.pid!) : undefined;
  }

  /** Returns when the engine answers. `args` are kept for later starts. */
  async start(options: { args?: readonly string[] } = {}): Promise<void> {
    if (this.#running()) throw new Error(`${this.#host.name}: dockerd runs already`);
    this.#args = options.args ?? this.#args;
    const log = openSync(this.#logPath, 'a');
    this.#process = this.#host.spawn(this.#command(), { stdio: ['ignore', log, log] });
    this.#process.unref();
    closeSync(log);
    await this.#answers();
  }

  /** Returns when the engine has ended; a clean stop also ends its containers, SIGKILL leaves them running. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.#running()) return;
    this.#process!.ref();
    const ended = once(this.#process!, 'exit', { signal: AbortSignal.timeout(stopLimitMs) });
    this.#process!.kill(signal);
    await ended.catch((cause) => {
      throw new Error(`${this.#host.name}: dockerd did not end after ${signal}:\n${this.log().slice(-4000)}`, {
        cause,
      });
    });
  }

  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  /** What its goroutines are about that have a container or a network driver in hand: each the functions it is in. */
  async stacks(): Promise<string> {
    const dir = this.#host.path('/run/docker');
    const written = () => readdirSync(dir).filter((file) => file.startsWith('goroutine-stacks'));
    const before = new Set(written());
    process.kill(this.pid!, 'SIGUSR1');
    let file: string | undefined;
    while (!file) {
      await sleep(500);
      file = written().find((each) => !before.has(each));
    }
    return readFileSync(`${dir}/${file}`, 'utf8')
      .split('\n\n')
      .filter((stack) =>
        /drivers\/remote|router\/container|daemon\.\(\*Daemon\)\.(\w*Container|Kill|cleanup)/.test(stack),
      )
      .map((stack) =>
        [...stack.matchAll(/^(?:\S*\/)?(\w+\.\S+)\(/gm)]
          .map(([, name]) => name)
          .slice(0, 20)
          .join(' < '),
      )
      .join('\n');
  }

  log(): string {
    return readFileSync(this.#logPath, 'utf8');
  }

  #running(): boolean {
    return this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  #command(): string[] {
    return [
      'dockerd',
      '--host=unix:///var/run/docker.sock',
      '--data-root=/var/lib/docker',
      '--exec-root=/run/docker',
      '--pidfile=/run/docker.pid',
      '--storage-driver=overlay2',
      '--exec-opt=native.cgroupdriver=cgroupfs',
      `--cgroup-parent=${this.#cgroup}`,
      ...this.#args,
    ];
  }

  async #answers(): Promise<void> {
    const deadline = Date.now() + startLimitMs;
    while (!(await ping(this.#host.path('/run/docker.sock')))) {
      if (!this.#running() || Date.now() > deadline) {
        throw new Error(`${this.#host.name}: dockerd does not answer:\n${this.log().slice(-4000)}`);
      }
      await sleep(25);
    }
  }
}

function ping(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    request({ socketPath, path: '/_ping', timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    })
      .on('timeout', () => resolve(false))
      .on('error', () => resolve(false))
      .end();
  });
}
