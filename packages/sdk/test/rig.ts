import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock, Datapath, Directory, FirewallRules, HostStore, Peer } from '@weave/core';
import {
  type MemoryDatapath,
  type MemoryStore,
  memoryDatapath,
  memoryFirewall,
  memoryStore,
} from '@weave/core/testing';
import { connect, type EngineContainer, open, serve, type Weave, WeaveError } from '../src/index.ts';

/** The two ways in, which shall not differ. */
export const WAYS = ['open', 'connect'] as const;
export type Way = (typeof WAYS)[number];

/** Weave over a kernel and a store in memory. */
export interface Rig extends AsyncDisposable {
  /** By the way that was asked for. */
  readonly weave: Weave;
  /** In this process, whatever the way. */
  readonly here: Weave;
  readonly dir: string;
  readonly socket: string;
  readonly store: MemoryStore;
  readonly datapath: MemoryDatapath;
  readonly firewall: RigFirewall;
  /** What the engine of this host knows. */
  readonly containers: Map<string, EngineContainer>;
  /** A container that runs, with a namespace of its own; the same name again: another run of it. */
  run(name: string): EngineContainer;
  /** Stored and in the kernel and in the packet filter: equal before and after what changed nothing. */
  state(): string;
  /** As a daemon that was killed and starts again: another Weave over what is left. */
  restart(directory?: Directory): Promise<Rig>;
  /** The same, with an empty store; of a cluster, which host it is stands elsewhere too. */
  loseStore(of?: { directory: Directory; peer: Peer }): Promise<Rig>;
}

export interface RigFirewall {
  disturbed: boolean;
  rules: FirewallRules | undefined;
  refuses: boolean;
  /** Milliseconds that each of the next ones takes. */
  delays: number[];
}

interface Options {
  way?: Way;
  clock?: Clock;
  directory?: Directory;
  underlay?: string;
  domain?: string | undefined;
  /** Stands between Weave and what is in memory. */
  wrapStore?(store: HostStore): HostStore;
  wrapDatapath?(datapath: Datapath): Datapath;
}

interface Left {
  store: MemoryStore;
  datapath: MemoryDatapath;
  firewall: RigFirewall;
  containers: Map<string, EngineContainer>;
}

export const createRig = (options: Options = {}): Promise<Rig> =>
  rigOver(options, {
    store: memoryStore(),
    datapath: memoryDatapath(),
    firewall: { rules: undefined, refuses: false, delays: [], disturbed: false },
    containers: new Map(),
  });

async function rigOver(options: Options, left: Left): Promise<Rig> {
  const { way = 'open', clock = () => 1_700_000_000_000, wrapStore = (s) => s, wrapDatapath = (d) => d } = options;
  const { store, datapath, firewall, containers } = left;
  const { directory, underlay, domain } = options;
  const dir = mkdtempSync(join(tmpdir(), 'weave-sdk-'));
  const socket = join(dir, 'weave.sock');
  const here = await open({
    store: wrapStore(store),
    // It outlives the Weave that closes it, as a kernel does.
    datapath: wrapDatapath({ ...datapath, close: async () => undefined }),
    firewall: { set: (rules) => setFirewall(firewall, rules), isAsSet: async () => !firewall.disturbed },
    switchFilter: memoryFirewall(),
    clock,
    ...(directory ? { directory } : {}),
    ...(underlay ? { underlay } : {}),
    domain,
    engine: {
      async container(name) {
        const found = containers.get(name);
        if (!found) throw new WeaveError('WEAVE_CONTAINER_NOT_FOUND', `there is no container ${name}`);
        return found;
      },
    },
  });
  const api = await serve(here, socket);
  const weave = way === 'open' ? here : await connect({ socket });
  return {
    ...{ weave, here, dir, socket, store, datapath, firewall, containers },
    run(name) {
      const pid = (containers.get(name)?.pid ?? 50_000_000 + 1000 * containers.size) + 1;
      const container = { id: Buffer.from(name).toString('hex').padEnd(64, '0'), name, pid };
      datapath.removeNamespace(`/proc/${pid - 1}/ns/net`);
      datapath.addNamespace(`/proc/${pid}/ns/net`);
      containers.set(name, container);
      return container;
    },
    state: () =>
      [
        ...store
          .load()
          .map((record) => JSON.stringify(record))
          .sort(),
        datapath.listing(),
        JSON.stringify(firewall.rules),
      ].join('\n'),
    restart: (directory) =>
      rigOver({ way, domain, ...(directory ? { directory } : {}) }, { ...left, store: store.reopen() }),
    loseStore(of) {
      const store = memoryStore();
      if (of) store.append([{ table: 'peer', id: of.peer.id, record: { ...of.peer, rebuilding: true } }]);
      return rigOver({ way, ...(of ? { directory: of.directory } : {}) }, { ...left, store });
    },
    async [Symbol.asyncDispose]() {
      if (weave !== here) await weave.close();
      await api[Symbol.asyncDispose]();
      await here.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function setFirewall(firewall: RigFirewall, rules: FirewallRules | undefined): Promise<void> {
  const wait = firewall.delays.shift();
  if (wait !== undefined) await new Promise((resolve) => setTimeout(resolve, wait));
  if (firewall.refuses) throw new WeaveError('WEAVE_FIREWALL_FAILED', 'as the test wants it');
  firewall.rules = rules;
  firewall.disturbed = false;
}
