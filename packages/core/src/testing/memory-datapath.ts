import { type Applied, type Changed, type Netns, type Observed, type Op, type Query, SWITCH } from '../kernel.ts';
import type { Datapath } from '../ports.ts';
import { Errno, type ErrnoCode } from './errno.ts';
import { listing } from './listing.ts';
import { MemoryKernel, type MemoryLink, type MemoryNetns } from './memory-kernel.ts';
import { perform } from './memory-ops.ts';
import { readSysctl } from './memory-sysctl.ts';

export interface MemoryDatapathOptions {
  /** Paths of namespaces that are there from the start, beside `switch` and `host`. */
  namespaces?: readonly string[];
  /** Refuses the operation that comes after this many, whatever it is. */
  failAt?: FailAt;
}

export interface FailAt {
  after: number;
  code: ErrnoCode;
}

/** A link that is none of ours. */
export interface ForeignLink {
  name: string;
  /** `dummy` unless said otherwise. */
  kind?: string;
  mac?: string;
  mtu?: number;
  up?: boolean;
  alias?: string;
  addresses?: readonly string[];
  routes?: readonly { destination: string; gateway?: string }[];
  neighbours?: readonly { address: string; mac: string }[];
}

/** A kernel in memory, and what a test does to it behind Weave's back. */
export interface MemoryDatapath extends Datapath {
  /** A namespace at `path`; as a second way to one that is there where `sameAs` says so. */
  addNamespace(path: string, sameAs?: string): void;
  /** The path is gone, and with the last path to it the namespace with all its links. */
  removeNamespace(path: string): void;
  /** Another, empty namespace is at `path` now. */
  replaceNamespace(path: string): void;
  addForeign(netns: Netns, link: ForeignLink): void;
  /** What an engine does with its end: it comes down, without addresses, under another name. */
  moveLink(netns: Netns, name: string, to: Netns, newName: string): void;
  /** Refuses one operation to come; see {@link MemoryDatapathOptions}. */
  failAt(at: FailAt | undefined): void;
  /** As if somebody had changed these. */
  tell(changed: Partial<Changed>): void;
  /** How many operations were asked for so far. */
  readonly performed: number;
  /** Everything there is, as text: one line each, in an order of its own. */
  listing(): string;
}

/** The kernel as a value: does what `kernel.ts` says of each operation, and forgets it with the object. */
export function memoryDatapath({ namespaces = [], failAt }: MemoryDatapathOptions = {}): MemoryDatapath {
  const kernel = new MemoryKernel(namespaces);
  let injected = failAt;
  let performed = 0;
  let closed = false;
  let watcher: ((changed: Changed) => void) | undefined;

  const tell = (changed: Partial<Changed>) =>
    void Promise.resolve().then(() => watcher?.({ links: [], filters: [], lost: false, ...changed }));

  function step(op: Op): void {
    if (closed) throw new Errno('EBADF', 'the kernel handle is closed');
    performed++;
    if (injected && injected.after-- <= 0) {
      const { code } = injected;
      injected = undefined;
      throw new Errno(code, 'as the test wants it');
    }
    perform(kernel, op);
  }

  function applyBatch(ops: readonly Op[]): Applied {
    for (const [index, op] of ops.entries())
      try {
        step(op);
      } catch (error) {
        if (!(error instanceof Errno)) throw error;
        return { done: index, failed: failureOf(index, op, error) };
      }
    tell({ links: ops.flatMap((op) => (op.netns === 'switch' && 'name' in op ? op.name : [])) });
    return { done: ops.length };
  }

  return {
    apply: async (batches) => batches.map(applyBatch),
    observe: async (queries) => queries.map((query) => (closed ? unreadable(query, 'EBADF') : observe(kernel, query))),
    watch: (told) => {
      watcher = told;
    },
    tell,
    netnsId: (path) => (path === 'switch' ? undefined : kernel.namespaces.get(path)?.id),
    destroy: async () => {
      for (const link of [...kernel.netns('switch').links.values()]) kernel.remove(link);
      closed = true;
    },
    close: async () => {
      closed = true;
      watcher = undefined;
    },
    addNamespace: (path, sameAs) => {
      kernel.unlink(path);
      kernel.namespaces.set(path, sameAs === undefined ? kernel.newNetns() : kernel.netns(sameAs));
    },
    removeNamespace: (path) => kernel.unlink(path),
    replaceNamespace: (path) => {
      kernel.unlink(path);
      kernel.namespaces.set(path, kernel.newNetns());
    },
    addForeign: (netns, link) => addForeign(kernel, netns, link),
    moveLink: (netns, name, to, newName) => kernel.move(kernel.link(netns, name), kernel.netns(to), newName),
    failAt: (at) => {
      injected = at && { ...at };
    },
    get performed() {
      return performed;
    },
    listing: () => listing(kernel),
  };
}

function failureOf(index: number, op: Op, error: Errno): NonNullable<Applied['failed']> {
  const link = error.link ?? ('name' in op ? op.name : 'link' in op ? op.link : undefined);
  const { errno, code, message, netns = op.netns } = error;
  return { index, op: op.op, errno, code, netns, message, ...(link === undefined ? {} : { link }) };
}

function addForeign(kernel: MemoryKernel, netns: Netns, foreign: ForeignLink): void {
  const link = kernel.create(kernel.netns(netns), foreign.name, foreign.kind ?? 'dummy');
  link.mtu = foreign.mtu ?? 1500;
  if (foreign.mac) link.setMac(foreign.mac);
  link.alias = foreign.alias;
  link.setUp(foreign.up ?? true);
  for (const address of foreign.addresses ?? []) link.addAddress(address);
  link.routes = [...(foreign.routes ?? [])];
  for (const { address, mac } of foreign.neighbours ?? []) link.neighbours.set(address, mac);
}

const unreadable = ({ netns }: Query, code: ErrnoCode): Observed => ({
  ...{ netns, code, links: [], addresses: [], routes: [], neighbours: [], fdb: [], sysctls: [] },
});

function observe(kernel: MemoryKernel, query: Query): Observed {
  const netns = kernel.namespaces.get(query.netns);
  if (!netns) return unreadable(query, 'ENOENT');
  const all = [...netns.links.values()];
  const links = query.links ? query.links.flatMap((name) => netns.links.get(name) ?? []) : all;
  return {
    netns: query.netns,
    links: links.map((link) => describe(link, query.netns === SWITCH)),
    addresses: links.flatMap((l) => l.addresses.map((address) => ({ link: l.name, address }))),
    routes: all.flatMap((l) => [
      ...l.connected().map((destination) => ({ link: l.name, destination })),
      ...l.routes.map((route) => ({ link: l.name, ...route })),
    ]),
    neighbours: links.flatMap((l) =>
      [...l.neighbours].map(([address, mac]) => ({ link: l.name, address, mac, permanent: true })),
    ),
    fdb: links.flatMap((l) => [...l.fdb, ...[...l.given].map((mac) => ({ mac }))].map((f) => ({ link: l.name, ...f }))),
    sysctls: (query.sysctls ?? []).flatMap((key) => sysctlAt(netns, key)),
  };
}

function sysctlAt(netns: MemoryNetns, key: string): { key: string; value: string }[] {
  const value = readSysctl(netns, key);
  return value === undefined ? [] : [{ key, value }];
}

function describe(link: MemoryLink, seesFar: boolean): Observed['links'][number] {
  const { name, kind, mac, mtu, up, index, peer, master, vni, local, quiet, isolated, alias } = link;
  return {
    ...{ name, kind, mac, mtu, up, index },
    ...(peer ? { peerIndex: peer.index } : {}),
    ...(peer && seesFar ? { peerMtu: peer.mtu } : {}),
    ...(master ? { master: master.name } : {}),
    ...(vni === undefined ? {} : { vni }),
    ...(local === undefined ? {} : { local }),
    ...(quiet ? { quiet } : {}),
    ...(isolated ? { isolated } : {}),
    ...(alias === undefined ? {} : { alias }),
  };
}
