import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { findProcess } from '../../src/managed/process.ts';
import { until } from './hosts.ts';

interface Told {
  cluster?: string;
  hosts: string[];
  voters: string[];
  etcd?: number;
}

/** A host that can be killed. */
export interface HostProcess {
  readonly id: string;
  readonly address: string;
  readonly stateDir: string;
  /** What it said last; undefined while it does not run. */
  readonly told: Told | undefined;
  readonly etcdPids: readonly number[];
  readonly log: string;
  /** `peer`: as whom, by default as before. */
  start(peer?: string): void;
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export interface HostProcesses extends AsyncDisposable {
  add(id: string, targets: readonly string[]): HostProcess;
}

const PROGRAM = fileURLToPath(new URL('host-process.ts', import.meta.url));

export function hostProcesses(options: { password?: string } = {}): HostProcesses {
  const dir = mkdtempSync(join(tmpdir(), 'weave-managed-'));
  const all: HostProcess[] = [];
  return {
    add(id, targets) {
      const address = `127.77.0.${all.length + 1}`;
      const host = hostProcess(dir, id, { ...options, addresses: [address], bind: [address], targets });
      all.push(host);
      host.start();
      return host;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map((host) => host.kill()));
      // What a killed host leaves running is meant for its next start.
      for (const pid of all.flatMap(({ etcdPids }) => etcdPids)) process.kill(pid, 'SIGKILL');
      rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    },
  };
}

function hostProcess(
  dir: string,
  id: string,
  options: { addresses: string[]; bind: string[]; targets: readonly string[] },
): HostProcess {
  const stateDir = join(dir, id);
  const logFile = join(dir, `${id}.log`);
  const given = { stateDir, tickMs: 1000, ...options };
  let peer = { id, name: `host ${id}` };
  let child: ChildProcess | undefined;
  let told: Told | undefined;
  const end = async (signal: NodeJS.Signals) => {
    if (!child) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
    child = undefined;
    told = undefined;
  };
  return {
    ...{ id, stateDir, address: options.addresses[0]! },
    get told() {
      return told;
    },
    get etcdPids() {
      return etcdsOf(stateDir);
    },
    get log() {
      return readFileSync(logFile, 'utf8');
    },
    start(as = peer.id) {
      peer = { ...peer, id: as };
      const started = spawn(
        process.execPath,
        [...process.execArgv, '-C', '@weave/source', PROGRAM, JSON.stringify({ ...given, peer })],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      child = started;
      createInterface(started.stdout).on('line', (line) => {
        if (child === started) told = JSON.parse(line);
      });
      started.stderr.on('data', (text) => appendFileSync(logFile, text));
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
}

/** Every etcd with data below this directory. */
export function etcdsOf(stateDir: string): number[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  return all.filter((pid) => findProcess(pid)?.args.some((arg) => arg.startsWith(`--data-dir=${stateDir}/`)));
}

/** Until these are a cluster, and each knows all of them. */
export const together = (...hosts: HostProcess[]) =>
  until(`${hosts.map(({ id }) => id)} are one cluster`, () => {
    const ids = new Set(hosts.map(({ told }) => told?.cluster));
    return ids.size === 1 && !ids.has(undefined) && hosts.every(({ told }) => told?.hosts.length === hosts.length);
  });
