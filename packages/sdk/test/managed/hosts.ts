import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../src/index.ts';
import { etcdApi } from '../../src/managed/etcd-api.ts';
import { ALIVE } from '../../src/managed/keys.ts';
import { type Managed, managedStore } from '../../src/managed/managed.ts';
import type { ManagedOptions } from '../../src/managed/options.ts';

/** Hosts on addresses of loopback, each with a state directory of its own, as one process. */
export interface TestHost {
  readonly id: string;
  readonly address: string;
  readonly stateDir: string;
  readonly log: { level: string; message: string; fields: Record<string, unknown> }[];
  readonly managed: Managed;
  start(options?: Partial<ManagedOptions>): Promise<void>;
  stop(): Promise<void>;
}

export interface Hosts extends AsyncDisposable {
  /** `id` decides who begins a cluster: the lowest. */
  add(id: string, options?: Partial<ManagedOptions>): Promise<TestHost>;
  /** Says that these are alive, as the directory's leases would. */
  alive(through: TestHost, ...hosts: TestHost[]): Promise<void>;
  dead(through: TestHost, ...hosts: TestHost[]): Promise<void>;
}

export function createHosts(defaults: Partial<ManagedOptions> = {}): Hosts {
  const dir = mkdtempSync(join(process.env.WEAVE_TEST_DIR ?? tmpdir(), 'weave-managed-'));
  const hosts: TestHost[] = [];

  async function add(id: string, options: Partial<ManagedOptions> = {}): Promise<TestHost> {
    const address = `127.77.0.${hosts.length + 1}`;
    const stateDir = join(dir, id);
    const log: TestHost['log'] = [];
    const note: Log = (level, message, fields = {}) => void log.push({ level, message, fields });
    let running: Managed | undefined;
    const host: TestHost = {
      ...{ id, address, stateDir, log },
      get managed() {
        return running!;
      },
      async start(more = {}) {
        running = await managedStore({
          ...{
            stateDir,
            peer: { id, name: `host ${id}` },
            addresses: [address],
            bind: [address],
            log: note,
            tickMs: 1000,
          },
          ...{ ...defaults, ...options, ...more },
        });
      },
      async stop() {
        await running?.close();
        running = undefined;
      },
    };
    hosts.push(host);
    await host.start();
    return host;
  }

  async function write(through: TestHost, written: TestHost[], value: string | null): Promise<void> {
    const { endpoints, tls } = through.managed.store!;
    const api = etcdApi(() => endpoints.map((endpoint) => `https://${endpoint}`), tls);
    await api.commit(
      [],
      written.map(({ id }) => ({ key: ALIVE + id, value })),
    );
    api.close();
  }

  return {
    add,
    alive: (through, ...written) => write(through, written, '{}'),
    dead: (through, ...written) => write(through, written, null),
    async [Symbol.asyncDispose]() {
      await Promise.all(hosts.map((host) => host.stop()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Waits until it holds; says what did not. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, patienceMs = 60_000): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`it does not come to be that ${what}`);
    await delay(50);
  }
}

/** Until these are a cluster, and each knows all of them. */
export const together = (...hosts: TestHost[]): Promise<void> =>
  until(`${hosts.map(({ id }) => id)} are one cluster`, () => {
    const ids = new Set(hosts.map(({ managed }) => managed.store?.clusterId));
    const know = hosts.every(({ managed }) => managed.status().hosts.length === hosts.length);
    return ids.size === 1 && !ids.has(undefined) && know;
  });

/** Hosts of these names, the first one's cluster, all of them alive. */
export async function clusterOf(hosts: Hosts, names: string): Promise<TestHost[]> {
  const all: TestHost[] = [];
  for (const name of names) all.push(await hosts.add(name));
  for (const host of all.slice(1)) await host.managed.connect([all[0]!.address]);
  await together(...all);
  await hosts.alive(all[0]!, ...all);
  return all;
}

export const voters = (through: TestHost, names: string) =>
  until(`${names} are voters`, () => [...through.managed.status().voters].sort().join('') === names, 90_000);

async function withKey<T>(through: TestHost, work: (api: ReturnType<typeof etcdApi>) => Promise<T>): Promise<T> {
  const { endpoints, tls } = through.managed.store!;
  const api = etcdApi(() => endpoints.map((endpoint) => `https://${endpoint}`), tls);
  return work(api).finally(() => api.close());
}
const KEY = '/weave/network/n1';
export const putKey = (through: TestHost) =>
  withKey(through, (api) => api.commit([], [{ key: KEY, value: 'as before' }]));
export const getKey = async (through: TestHost) =>
  (await withKey(through, (api) => api.look([KEY]))).found.get(KEY)?.value;
