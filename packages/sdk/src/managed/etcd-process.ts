import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { WeaveError } from '@weave/core';
import type { Log } from '../log.ts';
import { tailLog } from './etcd-log.ts';
import { endProcess, findProcess, isRunning, type Process } from './process.ts';

/** etcd's binary: WEAVE_ETCD, or on the PATH. WEAVE_ETCD_MISSING where there is none. */
export function findEtcd(env: NodeJS.ProcessEnv = process.env): string {
  const named = env.WEAVE_ETCD;
  const places = named ? [named] : (env.PATH ?? '').split(delimiter).map((dir) => join(dir || '.', 'etcd'));
  const found = places.find((path) => existsSync(path));
  if (found) return found;
  throw new WeaveError(
    'WEAVE_ETCD_MISSING',
    named ? `WEAVE_ETCD names ${named}, which is not there` : 'etcd is not installed on this host',
  );
}

export interface EtcdSpec {
  readonly binary: string;
  /** Its data; one directory for each membership, so that the data of one is never another’s. */
  readonly dir: string;
  /** Its name among the members: the peer's. */
  readonly name: string;
  /** Files: the authority's certificate, the host's certificate and key. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Where it listens. */
  readonly bind: { client: readonly string[]; peer: readonly string[] };
  /** Where others reach it. */
  readonly urls: { client: readonly string[]; peer: readonly string[] };
  /** Those of another one never speak to it. */
  readonly token: string;
  /** All members, `name=url`: what it begins with where it has no data yet. */
  readonly initialCluster: string;
  readonly initialState: 'new' | 'existing';
}

/** Whether a member began to live in this directory. */
export function hasData(dir: string): boolean {
  const wal = join(dir, 'member', 'wal');
  return existsSync(wal) && readdirSync(wal).some((name) => name.endsWith('.wal'));
}

/** A heartbeat is more than a round trip between sites, and ten of them less than anybody waits. */
const TIMES = { heartbeat: 200, election: 2000 };
const QUOTA = 1024 * 1024 * 1024;

export const argumentsOf = (spec: EtcdSpec): string[] => [
  `--name=${spec.name}`,
  `--data-dir=${spec.dir}`,
  `--listen-client-urls=${spec.bind.client}`,
  `--listen-peer-urls=${spec.bind.peer}`,
  `--advertise-client-urls=${spec.urls.client}`,
  `--initial-advertise-peer-urls=${spec.urls.peer}`,
  `--initial-cluster=${spec.initialCluster}`,
  `--initial-cluster-state=${spec.initialState}`,
  `--initial-cluster-token=${spec.token}`,
  ...['', 'peer-'].flatMap((of) => [
    `--${of}trusted-ca-file=${spec.ca}`,
    `--${of}cert-file=${spec.cert}`,
    `--${of}key-file=${spec.key}`,
    `--${of}client-cert-auth`,
  ]),
  `--heartbeat-interval=${TIMES.heartbeat}`,
  `--election-timeout=${TIMES.election}`,
  '--pre-vote',
  `--quota-backend-bytes=${QUOTA}`,
  '--auto-compaction-mode=periodic',
  '--auto-compaction-retention=10m',
  '--snapshot-count=10000',
  '--logger=zap',
  '--log-outputs=stderr',
];

export interface EtcdProcess {
  readonly spec: EtcdSpec;
  readonly pid: number | undefined;
  /** Ends it, and returns when it has ended. */
  end(): Promise<void>;
  /** Leaves it running, for the next daemon. */
  leave(): void;
}

const LOOK_MS = 1000;
const LOOKS_PER_READ = 5;
const AGAIN_MS = { first: 500, most: 15_000 };
const SETTLED_MS = 60_000;

/**
 * Keeps an etcd running until it is ended. It outlives a daemon that is killed; the next one takes it over if it would
 * start it just so, or else ends it first. etcd locks its data: two never write to one directory, whatever happens.
 */
export function runEtcd(spec: EtcdSpec, log: Log): EtcdProcess {
  const over = new AbortController();
  let running: Process | undefined;
  mkdirSync(spec.dir, { recursive: true, mode: 0o700 });
  const logFile = `${spec.dir}.log`;
  const readLog = tailLog(logFile, (line) => log('debug', 'etcd', { line }));

  async function keep(): Promise<void> {
    let pause = AGAIN_MS.first;
    while (!over.signal.aborted) {
      const began = Date.now();
      running = (await takeOver(spec, log)) ?? start(spec, logFile);
      for (let looks = 0; !over.signal.aborted && isRunning(running); looks++) {
        await delay(LOOK_MS, undefined, { signal: over.signal, ref: false }).catch(() => undefined);
        if (looks % LOOKS_PER_READ === 0) readLog();
      }
      readLog();
      if (over.signal.aborted) return;
      pause = Date.now() - began > SETTLED_MS ? AGAIN_MS.first : Math.min(pause * 2, AGAIN_MS.most);
      log('warn', 'etcd ended, and is started again', { pid: running.pid, inMs: pause, log: logFile });
      await delay(pause, undefined, { signal: over.signal, ref: false }).catch(() => undefined);
    }
  }

  const kept = keep().catch((error) => log('error', 'etcd cannot be run', { error: String(error) }));
  return {
    spec,
    get pid() {
      return running?.pid;
    },
    async end() {
      over.abort();
      await kept;
      if (running) await endProcess(running);
      readLog();
    },
    leave: () => over.abort(),
  };
}

function start(spec: EtcdSpec, logFile: string): Process {
  const log = openSync(logFile, 'a', 0o600);
  try {
    // In a session of its own: what a terminal sends to the daemon is not for it. Of our environment it gets nothing,
    // as it would take ETCD_* for options; it wants to be told that it was not tried on every processor.
    const env = process.arch === 'x64' ? {} : { ETCD_UNSUPPORTED_ARCH: process.arch };
    const child = spawn(spec.binary, argumentsOf(spec), { detached: true, cwd: '/', env, stdio: ['ignore', log, log] });
    // What cannot be started is a process that has ended.
    child.once('error', () => undefined);
    child.unref();
    return findProcess(child.pid) ?? { pid: child.pid ?? 0, started: '', args: [] };
  } finally {
    closeSync(log);
  }
}

/** What matters once it has data. */
const lasting = (args: readonly string[]) => args.filter((arg) => !arg.startsWith('--initial-cluster')).join(' ');

function* etcdsAt(isIt: (dir: string) => boolean): Generator<Process> {
  const option = '--data-dir=';
  for (const name of readdirSync('/proc')) {
    const found = /^\d+$/.test(name) ? findProcess(Number(name)) : undefined;
    const dir = found?.args.find((arg) => arg.startsWith(option))?.slice(option.length);
    if (found && dir !== undefined && isIt(dir) && holds(found, join(dir, 'member/snap/db'))) yield found;
  }
}

/** Its arguments may say anything; what is open to root alone only one of ours has open. */
function holds({ pid }: Process, file: string): boolean {
  const data = statSync(file, { throwIfNoEntry: false });
  const fds = `/proc/${pid}/fd`;
  try {
    return readdirSync(fds).some((fd) => {
      const open = statSync(join(fds, fd), { throwIfNoEntry: false });
      return open !== undefined && open.ino === data?.ino && open.dev === data.dev;
    });
  } catch {
    // It has ended.
    return false;
  }
}

/** Ends what a killed daemon left running with data below this folder. */
export async function endEtcds(folder: string): Promise<void> {
  for (const each of etcdsAt((dir) => dir.startsWith(`${folder}/`))) await endProcess(each);
}

/** One that a killed daemon left. */
async function takeOver(spec: EtcdSpec, log: Log): Promise<Process | undefined> {
  for (const found of etcdsAt((dir) => dir === spec.dir)) {
    if (lasting(found.args.slice(1)) === lasting(argumentsOf(spec))) {
      log('info', 'etcd runs already: taken over', { pid: found.pid });
      return found;
    }
    log('info', 'etcd runs with other settings: ended', { pid: found.pid });
    await endProcess(found);
  }
  return undefined;
}
