import type { Datapath } from '@weave/core';
import {
  type DirectoryClient,
  type MemoryDatapath,
  type MemoryDirectory,
  type MemoryStore,
  memoryDatapath,
  memoryFirewall,
  memoryStore,
} from '@weave/core/testing';
import type { Timers } from '../../src/cluster/timers.ts';
import { type EngineContainer, open, type Weave, WeaveError } from '../../src/index.ts';
import type { Virtual } from './virtual.ts';

/** What a daemon is told beside where it is. */
export interface Options {
  virtual: Virtual;
  directory: MemoryDirectory;
  reclaimAfterMs: number;
  /** After each change of its kernel. */
  changed(machine: Machine): void;
  /** What it logs. */
  log?(machine: Machine, message: string, fields: object): void;
}

/** A host: its kernel and its records outlive its daemon. */
export interface Machine {
  readonly id: string;
  readonly name: string;
  readonly kernel: MemoryDatapath;
  /** Undefined while no daemon runs. */
  weave: Weave | undefined;
  /** It has begun, and answers nothing yet. */
  starting: boolean;
  client: DirectoryClient;
  /** Nothing gets through to the directory, or not in both directions. */
  readonly isApart: boolean;
  isolate(how: 'cut' | 'hold'): void;
  heal(): void;
  store: MemoryStore;
  readonly containers: Map<string, EngineContainer>;
  /** As of a container that the engine has just started. */
  run(name: string): void;
  start(): Promise<void>;
  /** From now on the daemon does nothing more, wherever it was. */
  kill(): void;
}

/** Milliseconds of a kernel, and of a directory and back. */
const KERNEL = [0, 4] as const;
const NETWORK = [1, 12] as const;

export function machine(index: number, options: Options): Machine {
  const { virtual, directory } = options;
  const id = (index + 1).toString(16).repeat(32).slice(0, 32);
  const name = `h${index + 1}`;
  const later = virtual.latency(...NETWORK);
  let process: Process | undefined;
  let isIsolated = false;

  const self: Machine = {
    ...{ id, name, kernel: memoryDatapath(), weave: undefined, starting: false, containers: new Map() },
    client: directory.client({ later }),
    store: memoryStore(),
    run(container) {
      const pid = (self.containers.get(container)?.pid ?? 50_000_000 + 1000 * self.containers.size) + 1;
      self.kernel.removeNamespace(`/proc/${pid - 1}/ns/net`);
      self.kernel.addNamespace(`/proc/${pid}/ns/net`);
      const digits = Buffer.from(`${name} ${container}`).toString('hex').padEnd(64, '0');
      self.containers.set(container, { id: digits, name: container, pid });
    },
    get isApart() {
      return isIsolated || process === undefined;
    },
    isolate(how) {
      isIsolated = true;
      self.client[how]();
    },
    heal() {
      isIsolated = false;
      self.client.heal();
      self.client.release();
    },
    async start() {
      isIsolated = false;
      const mine = mortal(virtual);
      process = mine;
      const { datapath, timers } = mine;
      self.client = directory.client({ later });
      self.starting = true;
      const weave = await open({
        store: self.store,
        datapath: datapath(self.kernel, () => options.changed(self)),
        firewall: { set: async () => undefined, isAsSet: async () => true },
        switchFilter: memoryFirewall(),
        clock: () => 1_700_000_000_000 + virtual.now(),
        timers,
        directory: self.client,
        underlay: `192.0.2.${index + 1}`,
        reclaimAfterMs: options.reclaimAfterMs,
        engine: { container: async (wanted) => self.containers.get(wanted) ?? missing(wanted) },
        log: (_level, message, fields = {}) => options.log?.(self, message, fields),
      });
      if (process !== mine) return;
      self.weave = weave;
      self.starting = false;
    },
    kill() {
      process?.kill();
      process = undefined;
      self.starting = false;
      // Never healed: it is dead.
      self.client.cut();
      self.client = directory.client({ later });
      self.store = self.store.reopen();
      self.weave = undefined;
    },
  };
  self.store.append([
    { table: 'self', id: 'self', record: { peer: id } },
    { table: 'peer', id, record: { id, name } },
  ]);
  return self;
}

function missing(name: string): never {
  throw new WeaveError('WEAVE_CONTAINER_NOT_FOUND', `there is no container ${name}`);
}

type Process = ReturnType<typeof mortal>;

/** What ends with a process that is killed: its timers, and its calls of the kernel, one after the other. */
function mortal(virtual: Virtual) {
  let isDead = false;
  let queue: Promise<unknown> = Promise.resolve();
  const latency = virtual.latency(...KERNEL);
  const never = new Promise<never>(() => undefined);
  const timers: Timers = {
    now: virtual.now,
    after: (ms, work) => virtual.after(ms, () => isDead || work()),
  };

  function inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = queue.then(() => new Promise<void>((go) => latency(go))).then(() => (isDead ? never : work()));
    queue = done;
    return done;
  }

  const datapath = (kernel: MemoryDatapath, changed: () => void): Datapath => ({
    ...kernel,
    apply: (batches) =>
      inOrder(async () => {
        const applied = await kernel.apply(batches);
        changed();
        return applied;
      }),
    observe: (queries) => inOrder(() => kernel.observe(queries)),
    // What others do to the kernel is another test's.
    watch: () => undefined,
    close: async () => undefined,
  });

  return {
    timers,
    datapath,
    kill: () => {
      isDead = true;
    },
  };
}
