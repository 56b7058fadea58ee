import type { Change, Datapath, Directory, Endpoint, HostStore } from '@weave/core';
import { type DirectoryClient, type MemoryDirectory, memoryFirewall } from '@weave/core/testing';
import type { Timers } from '../../src/cluster/timers.ts';
import { PASS_MS } from '../../src/face.ts';
import { open, type Weave } from '../../src/index.ts';
import type { Virtual } from './virtual.ts';

/** One of very many hosts: the production logic over a kernel and a store that only answer. */
export interface Member {
  readonly id: string;
  readonly weave: Weave;
  readonly client: DirectoryClient;
  readonly counts: Counts;
}

/** What the directory was asked by one host, and how many keys it told it of. */
export interface Counts {
  lists: number;
  listed: number;
  commits: number;
  /** By what they are about: the second part of their keys. */
  news: Map<string, number>;
}

interface Options {
  virtual: Virtual;
  directory: MemoryDirectory;
  /** An endpoint of another host came into a host's records, or went. */
  saw(member: string, endpoint: string, record: Endpoint | null): void;
}

export async function member(index: number, { virtual, directory, saw }: Options): Promise<Member> {
  const id = (index + 1).toString(16).padStart(32, '0');
  const client = directory.client({ later: virtual.latency(1, 5) });
  const counts: Counts = { lists: 0, listed: 0, commits: 0, news: new Map() };
  const weave = await open({
    store: answeringStore(id, index, saw),
    datapath: answeringKernel(),
    firewall: { set: async () => undefined, isAsSet: async () => true },
    switchFilter: memoryFirewall(),
    clock: () => 1_700_000_000_000 + virtual.now(),
    timers: withoutPasses(virtual),
    directory: counted(client, counts),
    underlay: `10.255.${index >> 8}.${index & 255}`,
    engine: {
      container: async (name) => ({ id: `${id}${name.padStart(32, '0')}`, name, pid: Number.parseInt(name, 36) }),
    },
  });
  return { id, weave, client, counts };
}

/** No full pass: a kernel that only answers has nothing to be compared with, and would be given everything each time. */
const withoutPasses = (virtual: Virtual): Timers => ({
  now: virtual.now,
  after: (ms, work) => (ms === PASS_MS ? () => undefined : virtual.after(ms, work)),
});

/** Keeps nothing: no daemon starts again here. */
function answeringStore(id: string, index: number, saw: Options['saw']): HostStore {
  const known: Change[] = [
    { table: 'self', id: 'self', record: { peer: id } },
    { table: 'peer', id, record: { id, name: `h${index}` } },
  ];
  return {
    load: () => known,
    append(changes) {
      for (const { table, id: endpoint, record } of changes)
        if (table === 'endpoint' && record?.peer !== id) saw(id, endpoint, record);
    },
    erase: () => undefined,
    close: () => undefined,
  };
}

const answeringKernel = (): Datapath => ({
  apply: async (batches) => batches.map((ops) => ({ done: ops.length })),
  observe: async (queries) =>
    queries.map(({ netns }) => ({
      ...{ netns, links: [], addresses: [], routes: [], neighbours: [], fdb: [], sysctls: [] },
    })),
  watch: () => undefined,
  netnsId: (path) => path,
  destroy: async () => undefined,
  close: async () => undefined,
});

function counted(client: Directory, counts: Counts): Directory {
  return {
    ...client,
    async list(prefix) {
      counts.lists++;
      const listed = await client.list(prefix);
      counts.listed += listed.entries.length;
      return listed;
    },
    commit(transaction) {
      counts.commits++;
      return client.commit(transaction);
    },
    follow: (prefix, tell) =>
      client.follow(prefix, (news) => {
        const about = prefix.split('/')[2]!;
        const count = news.entries.length + (news.kind === 'changes' ? news.gone.length : 0);
        counts.news.set(about, (counts.news.get(about) ?? 0) + count);
        tell(news);
      }),
  };
}
