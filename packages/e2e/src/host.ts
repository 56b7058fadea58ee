import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Dockerd } from './dockerd.ts';
import {
  childOf,
  type ExecOptions,
  type ExecResult,
  run,
  type SpawnOptions,
  signalled,
  start,
  startTime,
} from './process.ts';
import type { Underlay } from './underlay.ts';

export interface HostOptions {
  /** Host name, and its port's name on the underlay; default h1, h2, … */
  name?: string;
  /** Start a Docker engine; default true. */
  docker?: boolean;
  /** More arguments for dockerd. */
  dockerArgs?: string[];
  /** What `iptables` and `ip6tables` are on this host; default nft. */
  iptables?: 'nft' | 'legacy';
}

export const dockerClient = '/usr/bin/docker';
const bootScript = fileURLToPath(new URL('../src/boot-host.sh', import.meta.url));
const commandsDir = fileURLToPath(new URL('../../cli/bin', import.meta.url));

/** One machine of the lab: its own network, mount, pid and uts namespace. */
export class Host {
  readonly name: string;
  /** PID 1 of the host, as seen from outside. */
  readonly pid: number;
  readonly ip: string;
  readonly ip6: string;
  readonly dockerd: Dockerd;

  private constructor(name: string, pid: number, address: { ip: string; ip6: string }, dir: string, cgroup: string) {
    this.name = name;
    this.pid = pid;
    this.ip = address.ip;
    this.ip6 = address.ip6;
    this.dockerd = new Dockerd(this, join(dir, 'dockerd.log'), `/${cgroup}/${name}`);
  }

  static async boot(
    name: string,
    labDir: string,
    cgroup: string,
    underlay: Underlay,
    options: HostOptions,
  ): Promise<Host> {
    const dir = join(labDir, name);
    mkdirSync(join(dir, 'scratch'), { recursive: true });
    const pid = await boot(name, dir, options.iptables ?? 'nft');
    try {
      return new Host(name, pid, await underlay.attach(name, pid), dir, cgroup);
    } catch (error) {
      process.kill(pid, 'SIGKILL');
      throw error;
    }
  }

  /** Runs a command on the host to its end. A string is a shell script. */
  exec(command: readonly string[] | string, options: ExecOptions = {}): Promise<ExecResult> {
    const argv = typeof command === 'string' ? ['sh', '-c', command] : command;
    return run([...this.#enter(), ...argv], options, `${this.name}: ${argv.join(' ')}`);
  }

  /** Starts a command that goes on; kill() reaches the command itself. It ends with the lab at the latest. */
  spawn(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const child = start([...this.#enter(), ...argv], options);
    child.kill = (signal) => {
      const inner = childOf(child.pid!);
      return inner !== undefined && signalled(inner, signal);
    };
    return child;
  }

  async docker(...args: string[]): Promise<string> {
    let waits = '';
    const late = setTimeout(async () => (waits = `--- the engine\n${await this.dockerd.stacks()}`), 110_000);
    try {
      return (await this.exec([dockerClient, ...args], { timeoutMs: 120_000 })).stdout.trim();
    } catch (error) {
      throw new Error(`${(error as Error).message}${waits}`, { cause: error });
    } finally {
      clearTimeout(late);
    }
  }

  /** The weave command of this checkout; it and the plugin binary are also on the host's PATH. */
  async weave(...args: string[]): Promise<string> {
    return (await this.exec(['weave', ...args], { timeoutMs: 120_000 })).stdout.trim();
  }

  async json(command: readonly string[] | string): Promise<unknown> {
    return JSON.parse((await this.exec(command)).stdout);
  }

  /** Where a file of the host, such as a socket, is found from outside. */
  path(inside: string): string {
    return `/proc/${this.pid}/root${inside}`;
  }

  #enter(): string[] {
    return ['nsenter', `--target=${this.pid}`, '--net', '--mount', '--pid', '--uts', '--'];
  }
}

/** Returns the pid of the host's PID 1. */
async function boot(name: string, dir: string, iptables: string): Promise<number> {
  const logPath = join(dir, 'boot.log');
  const log = openSync(logPath, 'w');
  const namespaces = ['unshare', '--net', '--mount', '--pid', '--uts', '--fork', '--kill-child=SIGKILL'];
  const script = ['sh', bootScript, name, join(dir, 'scratch'), process.execPath, commandsDir, iptables];
  const child = start(['setpriv', '--pdeathsig', 'KILL', ...namespaces, ...script], { stdio: ['ignore', 'pipe', log] });
  closeSync(log);
  child.unref();
  let pid: number | undefined;
  for await (const line of createInterface(child.stdout!)) {
    if (line.startsWith('pid ')) {
      pid = Number(line.slice(4));
      writeFileSync(join(dir, 'pid'), `${pid} ${startTime(pid)}`);
    }
    if (line === 'ready' && pid) {
      child.stdout!.destroy();
      return pid;
    }
  }
  throw new Error(`host ${name} did not boot:\n${readFileSync(logPath, 'utf8')}`);
}
