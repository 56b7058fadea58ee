import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { dockerClient, Host, type HostOptions } from './host.ts';
import { cleanStaleLabs, labDirPrefix, pause, removeLeftovers } from './leftovers.ts';
import { startTime } from './process.ts';
import { Underlay, type UnderlayOptions } from './underlay.ts';

export interface LabOptions {
  /** How many hosts, or what each is like; default none. */
  hosts?: number | HostOptions[];
  /** Whether hosts run a Docker engine unless they say otherwise; default true. */
  docker?: boolean;
  underlay?: UnderlayOptions;
}

const disposeLimitMs = 15_000;
const imageScript = fileURLToPath(new URL('../../../tools/busybox-image.sh', import.meta.url));
const open = new Set<Lab>();

/** Hosts joined by an underlay. All of it goes with dispose(), and with this process however that ends. */
export class Lab {
  readonly hosts: Host[] = [];
  readonly underlay: Underlay;
  readonly #dir: string;
  readonly #docker: boolean;
  readonly #booting = new Set<Promise<Host>>();
  #named = 0;
  #image: Buffer | undefined;
  #disposed = false;

  private constructor(dir: string, underlay: Underlay, docker: boolean) {
    this.#dir = dir;
    this.underlay = underlay;
    this.#docker = docker;
  }

  static async create(options: LabOptions): Promise<Lab> {
    cleanStaleLabs();
    const dir = mkdtempSync(labDirPrefix());
    const lab = new Lab(dir, await Underlay.create(options.underlay), options.docker ?? true);
    watchExit();
    open.add(lab);
    const hosts = typeof options.hosts === 'number' ? Array(options.hosts).fill({}) : (options.hosts ?? []);
    const started = await Promise.allSettled(hosts.map((host: HostOptions) => lab.addHost(host)));
    const failed = started.find((result) => result.status === 'rejected');
    if (failed) {
      await lab.dispose();
      throw failed.reason;
    }
    return lab;
  }

  /** Hosts are in `hosts` in the order in which they were asked for. */
  async addHost(options: HostOptions = {}): Promise<Host> {
    if (this.#disposed) throw new Error('the lab is disposed');
    this.#named += 1;
    const index = this.#named - 1;
    const name = options.name ?? `h${this.#named}`;
    const booting = Host.boot(name, this.#dir, basename(this.#dir), this.underlay, options);
    this.#booting.add(booting);
    const host = await booting.finally(() => this.#booting.delete(booting));
    this.hosts[index] = host;
    if (options.docker ?? this.#docker) {
      await host.dockerd.start({ args: options.dockerArgs ?? [] });
      await host.exec([dockerClient, 'load', '--quiet'], { stdin: this.#busybox() });
    }
    return host;
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await Promise.allSettled(this.#booting);
    const deadline = Date.now() + disposeLimitMs;
    this.#kill();
    while (!this.#removed()) {
      if (Date.now() > deadline) throw new Error(`the lab in ${this.#dir} could not be removed`);
      await sleep(10);
    }
    open.delete(this);
  }

  disposeSync(): void {
    const deadline = Date.now() + disposeLimitMs;
    this.#kill();
    while (!this.#removed() && Date.now() < deadline) pause(10);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #processes(): number[] {
    return [...this.hosts.filter(Boolean).map((host) => host.pid), this.underlay.pid];
  }

  /** With PID 1 the kernel ends all that runs in a host, and with the last process go its links and mounts. */
  #kill(): void {
    for (const pid of this.#processes()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {} // it is gone
    }
  }

  #removed(): boolean {
    return this.#processes().every((pid) => startTime(pid) === undefined) && removeLeftovers(this.#dir);
  }

  #busybox(): Buffer {
    this.#image ??= execFileSync('sh', [imageScript], { maxBuffer: 64 << 20 });
    return this.#image;
  }
}

export function createLab(options: LabOptions = {}): Promise<Lab> {
  return Lab.create(options);
}

let watching = false;

function watchExit(): void {
  if (watching) return;
  watching = true;
  process.on('exit', () => {
    for (const lab of open) lab.disposeSync();
  });
  for (const [signal, number] of [
    ['SIGHUP', 1],
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.on(signal, () => process.exit(128 + number));
  }
}
