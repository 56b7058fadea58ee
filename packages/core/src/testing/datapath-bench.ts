import { type Failure, HOST, type Observed, type ObservedLink, type Op, type Query, SWITCH } from '../kernel.ts';
import type { Datapath } from '../ports.ts';
import { type ContractCase, holds, same } from './contract.ts';

export interface DatapathSubject {
  /** With nothing in the switch, and nothing of ours in the host's namespace. */
  datapath: Datapath;
  /** A namespace that nobody uses, by its path. */
  newNamespace(): Promise<string>;
  /** Its path is gone, and nothing else keeps it. */
  removeNamespace(path: string): Promise<void>;
}

/** What a case of the contract works with. */
export interface Bench extends DatapathSubject {
  /** Applies one batch, all of which must succeed. */
  does(...ops: Op[]): Promise<void>;
  /** Applies one batch, and answers what stopped it. */
  fails(...ops: Op[]): Promise<Failure>;
  /** Everything in a namespace, or some links; without what the kernel makes up by itself. */
  sees(netns: string, rest?: Omit<Query, 'netns'>): Promise<Observed>;
  link(netns: string, name: string): Promise<ObservedLink | undefined>;
}

export function contractCase(name: string, run: (bench: Bench) => Promise<void>): ContractCase<DatapathSubject> {
  return { name, run: (subject) => run(benchFor(subject)) };
}

function benchFor(subject: DatapathSubject): Bench {
  const { datapath } = subject;

  async function sees(netns: string, rest: Omit<Query, 'netns'> = {}): Promise<Observed> {
    const [observed, ...more] = await datapath.observe([{ netns, ...rest }]);
    holds(observed !== undefined && more.length === 0, 'one answer for each query');
    return withoutTheKernelsOwn(observed!);
  }

  return {
    ...subject,
    sees,
    link: async (netns, name) => (await sees(netns, { links: [name] })).links.find((link) => link.name === name),
    async does(...ops) {
      same(await datapath.apply([ops]), [{ done: ops.length }], ops.map((op) => op.op).join(', '));
    },
    async fails(...ops) {
      const [applied] = await datapath.apply([ops]);
      holds(applied?.failed !== undefined, `expected a failure of ${ops.map((op) => op.op).join(', ')}`);
      const failure = applied!.failed!;
      same(failure.index, applied!.done, 'what is done ends where it failed');
      same(failure.op, ops[failure.index]?.op, 'the operation is named');
      holds(failure.errno > 0 && failure.message !== '', 'errno and message are there');
      return failure;
    },
  };
}

/** Link-local addresses, their routes, what was learned, and the loopback. */
function withoutTheKernelsOwn(observed: Observed): Observed {
  const isOwn = (text: string) => /^(fe80|ff00)/.test(text);
  return {
    ...observed,
    links: observed.links.filter((l) => l.name !== 'lo'),
    addresses: observed.addresses.filter((a) => a.link !== 'lo' && !isOwn(a.address)),
    routes: observed.routes.filter((r) => r.link !== 'lo' && !isOwn(r.destination)),
    neighbours: observed.neighbours.filter((n) => n.permanent),
  };
}

export const BRIDGE = 'wbcontract';
export const VXLAN = 'wxcontract';
export const PORT = 'wvcontract';
export const FAR = 'ethwe';
export const FAR_MAC = '5a:77:0a:20:00:01';
export const FLOOD = '00:00:00:00:00:00';

type Made<K extends Op['op']> = Extract<Op, { op: K }>;

export const bridge = (rest: Partial<Made<'addBridge'>> = {}): Made<'addBridge'> => ({
  ...{ op: 'addBridge', netns: SWITCH, name: BRIDGE, mac: '52:00:00:00:00:01', mtu: 1430 },
  ...rest,
});

export const vxlan = (rest: Partial<Made<'addVxlan'>> = {}): Made<'addVxlan'> => ({
  ...{ op: 'addVxlan', netns: SWITCH, name: VXLAN, vni: 4242, port: 4789, mtu: 1430, master: BRIDGE },
  ...rest,
});

export const veth = (netns: string, rest: Partial<Made<'addVeth'>> = {}): Made<'addVeth'> => ({
  ...{ op: 'addVeth', netns: SWITCH, name: PORT, mtu: 1430, master: BRIDGE, up: true },
  peer: { netns, name: FAR, mtu: 1430, mac: FAR_MAC, up: true },
  ...rest,
});

export const address = (netns: string, text: string): Op => ({ op: 'addAddress', netns, link: FAR, address: text });

export const announcement = { op: 'announce', link: FAR, bridge: BRIDGE, address: '10.32.0.1' } as const;

export const route = (netns: string, destination: string, rest: { gateway?: string; ifAbsent?: boolean } = {}): Op => ({
  ...{ op: 'addRoute', netns, link: FAR, destination },
  ...rest,
});

export const sysctl = (netns: string, key: string, value: string, ifPresent?: boolean): Op => ({
  ...{ op: 'setSysctl', netns, key, value },
  ...(ifPresent ? { ifPresent } : {}),
});

/** A link that is none of ours in a container: no veth, so that we would never make it there. */
export const stranger = (netns: string, name: string): Op => bridge({ netns, name, mac: '02:00:00:00:00:99' });

export { HOST, SWITCH };
