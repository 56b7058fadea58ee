import { isIPv6 } from 'node:net';
import { VXLAN_PORT } from '@weave/core';
import { run } from '../run.ts';

export interface Count {
  packets: number;
  bytes: number;
}

/** VXLAN packets between this host and a peer, IP headers included; a packet that the kernel is going to cut counts once. */
export interface PeerTraffic {
  address: string;
  /** Handed to the wire: what is lost on it is not known here, see the paths' `lost`. */
  sent: Count;
  /** Taken from the wire, whether or not somebody here wants it. */
  received: Count;
}

/** Counters in the host's packet filter, in a table of our own that decides nothing. */
export interface Traffic {
  /** Whose packets are counted. Answers why not, where it cannot. */
  setPeers(addresses: readonly string[]): Promise<string | undefined>;
  /** Sets it again as it was last wanted; what is there goes on counting. */
  set(): Promise<string | undefined>;
  isAsSet(): Promise<boolean>;
  /** Since they are listed, without a pause: by an earlier daemon too. Never less than before, whoever meddles with it. */
  read(): Promise<PeerTraffic[]>;
  /** Nothing of it is left. */
  end(): Promise<void>;
}

const TABLE = ['inet', 'weave_paths'] as const;
const NAME = TABLE.join(' ');
/** Set, and where it is looked into. Not `notrack`: a firewall of the host may go by the state of what comes. */
const SETS = [
  { name: 'to4', type: 'ipv4_addr', chain: 'output', match: 'ip daddr' },
  { name: 'to6', type: 'ipv6_addr', chain: 'output', match: 'ip6 daddr' },
  { name: 'from4', type: 'ipv4_addr', chain: 'input', match: 'ip saddr' },
  { name: 'from6', type: 'ipv6_addr', chain: 'input', match: 'ip6 saddr' },
] as const;
type SetName = (typeof SETS)[number]['name'];

export function peerTraffic(): Traffic {
  const totals = new Map<string, { last: Count; sum: Count }>();
  let wanted: readonly string[] = [];
  // As it was when it was set.
  let rules: string | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  async function set(): Promise<string | undefined> {
    const before = await look();
    if (before) count(before.counts);
    for (const [key, total] of totals)
      if (!wanted.includes(key.split(' ')[1]!)) totals.delete(key);
      else if (!before) total.last = NOTHING;
    const script = [...FRAME, ...SETS.flatMap(({ name }) => membersOf(name, wanted, before?.counts.get(name)))];
    const { code, stderr } = await run('nft', ['-f', '-'], `${script.join('\n')}\n`);
    if (code !== 0) return `packets cannot be counted: ${stderr.trim().split('\n')[0]}`;
    rules = (await look())?.rules;
    return undefined;
  }

  function count(counts: Counts): void {
    for (const [set, members] of counts)
      for (const [address, now] of members) {
        const key = `${set} ${address}`;
        const { last, sum } = totals.get(key) ?? { last: NOTHING, sum: NOTHING };
        // Fewer than before: it was begun anew.
        totals.set(key, { last: now, sum: plus(sum, now.packets < last.packets ? now : minus(now, last)) });
      }
  }

  const isComplete = (counts: Counts) =>
    SETS.every(({ name }) => {
      const members = wanted.filter((address) => isOf(name, address));
      const there = counts.get(name);
      return there?.size === members.length && members.every((address) => there.has(address));
    });

  /** One after the other. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.catch(() => undefined).then(work);
    turn = mine;
    return mine;
  };

  return {
    setPeers(addresses) {
      wanted = [...new Set(addresses)];
      return inTurn(set);
    },
    set: () => inTurn(set),
    isAsSet: () =>
      inTurn(async () => {
        if (rules === undefined) return true;
        const seen = await look();
        return seen !== undefined && seen.rules === rules && isComplete(seen.counts);
      }),
    read: () =>
      inTurn(async () => {
        const seen = await look();
        if (seen) count(seen.counts);
        const sum = (set: string, address: string) => totals.get(`${set} ${address}`)?.sum ?? NOTHING;
        return wanted.map((address) => {
          const family = isIPv6(address) ? 6 : 4;
          return { address, sent: sum(`to${family}`, address), received: sum(`from${family}`, address) };
        });
      }),
    end: () =>
      inTurn(async () => {
        wanted = [];
        rules = undefined;
        totals.clear();
        await run('nft', ['-f', '-'], `add table ${NAME}\ndelete table ${NAME}\n`);
      }),
  };
}

const NOTHING: Count = { packets: 0, bytes: 0 };
const plus = (a: Count, b: Count): Count => ({ packets: a.packets + b.packets, bytes: a.bytes + b.bytes });
const minus = (a: Count, b: Count): Count => ({ packets: a.packets - b.packets, bytes: a.bytes - b.bytes });

const isOf = (set: SetName, address: string) => set.endsWith('6') === isIPv6(address);

/** Adding what is there is a success, and leaves its counters alone. */
const FRAME = [
  `add table ${NAME}`,
  ...SETS.map(({ name, type }) => `add set ${NAME} ${name} { type ${type}; counter; }`),
  ...['output', 'input'].flatMap((chain) => [
    `add chain ${NAME} ${chain} { type filter hook ${chain} priority raw; }`,
    `flush chain ${NAME} ${chain}`,
  ]),
  ...SETS.map(({ name, chain, match }) => `add rule ${NAME} ${chain} udp dport ${VXLAN_PORT} ${match} @${name}`),
];

function membersOf(set: SetName, wanted: readonly string[], there: ReadonlyMap<string, Count> = new Map()): string[] {
  const members = wanted.filter((address) => isOf(set, address));
  const going = [...there.keys()].filter((address) => !members.includes(address));
  const coming = members.filter((address) => !there.has(address));
  const say = (verb: string, list: string[]) =>
    list.length > 0 ? [`${verb} element ${NAME} ${set} { ${list.join(', ')} }`] : [];
  return [...say('delete', going), ...say('add', coming)];
}

type Counts = ReadonlyMap<string, ReadonlyMap<string, Count>>;

interface Listed {
  set?: { name: string; elem?: { elem: { val: string; counter: Count } }[] };
  rule?: { chain: string; expr: unknown };
}

/** What is there: undefined where there is no such table, or no nft. */
async function look(): Promise<{ rules: string; counts: Counts } | undefined> {
  const { code, stdout } = await run('nft', ['-j', 'list', 'table', ...TABLE]);
  if (code !== 0) return undefined;
  const { nftables } = JSON.parse(stdout) as { nftables: Listed[] };
  const counts = nftables.flatMap(({ set }) => {
    if (!set) return [];
    const members = (set.elem ?? []).map(({ elem }) => [elem.val, elem.counter] as const);
    return [[set.name, new Map(members)] as const];
  });
  const rules = nftables.flatMap(({ rule }) => (rule ? [{ chain: rule.chain, expr: rule.expr }] : []));
  return { rules: JSON.stringify(rules), counts: new Map(counts) };
}
