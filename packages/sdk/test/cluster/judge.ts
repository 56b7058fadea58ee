import { cidr, cidrInKey, type Entry, keys, nameInKey } from '@weave/core';
import type { MemoryDirectory } from '@weave/core/testing';
import type { Machine } from './machine.ts';
import type { Virtual } from './virtual.ts';

/** Who is looked at while time passes. */
export interface Judge {
  /** What went wrong, in words. */
  readonly faults: string[];
  /** What went wrong is told once. */
  blame(fault: string): void;
  /** A host's kernel changed: no address is there and on another host. */
  look(machine: Machine): void;
  /** A host says that it gave up what others have. */
  gaveUp(machine: Machine, fields: object): void;
  /** HOST CONTAINER that lost its addresses to others, and said so. */
  readonly givenUp: ReadonlySet<string>;
}

/** A host that was removed while it was cut off has so long, from when it is heard again, to give up what others have. */
const RETURN_MS = 6000;

/**
 * No address is on two kernels at once. Not judged is a host that does not belong: it was removed while it was cut off,
 * or its directory was made anew without it; what it has is others' to take until it is back and has given it up.
 */
export function judge(
  virtual: Virtual,
  directory: MemoryDirectory,
  machines: readonly Machine[],
  note: (what: string) => void,
): Judge {
  const faults: string[] = [];
  const givenUp = new Set<string>();
  const held = new Map<Machine, Set<string>>();
  /** Until when a host is not judged. */
  const excused = new Map<Machine, number>();

  const belongs = ({ id }: Machine) => directory.entries(keys.fence(id)).length > 0;

  function isJudged(machine: Machine): boolean {
    const until = excused.get(machine) ?? 0;
    if (!belongs(machine)) excused.set(machine, Number.POSITIVE_INFINITY);
    else if (until > virtual.now() && (machine.isApart || until === Number.POSITIVE_INFINITY))
      excused.set(machine, virtual.now() + RETURN_MS);
    return (excused.get(machine) ?? 0) <= virtual.now();
  }

  function blame(fault: string): void {
    if (faults.includes(fault)) return;
    faults.push(fault);
    note(`FAULT ${fault}`);
  }

  function compare(): void {
    const judged = machines.filter(isJudged);
    const owners = new Map<string, Machine>();
    for (const machine of judged)
      for (const address of held.get(machine) ?? []) {
        const other = owners.get(address);
        if (other) blame(`${address} is on ${other.name} and on ${machine.name}`);
        owners.set(address, machine);
      }
  }

  function every(): void {
    compare();
    virtual.after(100, every);
  }
  virtual.after(100, every);

  return {
    faults,
    givenUp,
    blame,
    look(machine) {
      held.set(machine, new Set([...addressesIn(machine.kernel.listing())].map(plain)));
      compare();
    },
    gaveUp: (machine, fields) => void givenUp.add(`${machine.name} ${(fields as { container: string }).container}`),
  };
}

/** Interface and address, of what is in containers: an interface is called alike on all hosts for a network. */
function addressesIn(listing: string): Set<string> {
  const found = new Set<string>();
  let link = '';
  for (const line of listing.split('\n')) {
    link = /^ {2}veth (ethwe\S*)/.exec(line)?.[1] ?? (/^ {2}\S/.test(line) ? '' : link);
    const address = link && /^ {4}address (\S+)/.exec(line)?.[1];
    if (address) found.add(`${link} ${address}`);
  }
  return found;
}

/** What does not hold once everything is whole and quiet. */
export async function disagreements(
  directory: MemoryDirectory,
  machines: readonly Machine[],
  promised: ReadonlyMap<string, string[]>,
  givenUp: ReadonlySet<string>,
): Promise<string[]> {
  const found: string[] = [];
  const expect = (is: unknown, should: unknown, what: string) => {
    const [a, b] = [JSON.stringify(is), JSON.stringify(should)];
    if (a !== b) found.push(`${what}:\n  is     ${a}\n  should ${b}`);
  };
  const under = (prefix: string) => directory.entries(prefix);
  const names = (entries: Entry[]) => entries.map(({ key }) => nameInKey(key)).sort();
  const running = machines.filter(({ weave }) => weave);
  const ids = running.map(({ id }) => id).sort();
  for (const prefix of [keys.peers, keys.alives, keys.fence('')]) expect(names(under(prefix)), ids, prefix);
  expect(under('/weave/wish/'), [], 'wishes');
  const definitions = under(keys.definitions);
  const defined = (kind: string) => names(definitions.filter(({ key }) => key.includes(`/definition/${kind}/`)));
  const claims: string[] = [];
  const presences: string[] = [];
  const published: string[] = [];
  for (const { name, id, weave, store, kernel, containers } of running) {
    const records = store.load();
    const of = (table: string) => records.filter((record) => record.table === table);
    const status = await weave!.status();
    expect([status.cluster?.reachable, status.cluster?.problem], [true, undefined], `${name} is in step`);
    expect(
      of('network')
        .map((c) => c.id)
        .sort(),
      defined('network'),
      `${name} knows the networks`,
    );
    const pools = of('pool')
      .map((c) => c.id.replaceAll('/', '_'))
      .sort();
    expect(pools, defined('pool'), `${name} knows the pools`);
    const cells = of('cell')
      .map((c) => c.id.replaceAll('/', '_').replace(' ', '/'))
      .sort();
    const owned = under(keys.allCells).filter(({ value }) => value === id);
    expect(cells, owned.map(({ key }) => key.slice(keys.allCells.length)).sort(), `${name} has its cells`);
    const endpoints = await weave!.endpoints.list({ everywhere: true });
    const own = endpoints.filter(({ peer }) => peer === id);
    const on = new Set(own.map(({ network }) => network));
    const view = endpoints
      .filter((e) => e.peer !== id || e.sandbox)
      .map(keys.endpoint)
      .sort();
    const told = [...on]
      .flatMap((network) => under(keys.endpoints(network)))
      .map(({ key }) => key)
      .sort();
    expect(view, told, `${name} sees its networks`);
    const attached = own.filter(({ sandbox }) => sandbox);
    published.push(...attached.map(keys.endpoint));
    presences.push(...new Set(attached.map(({ network }) => keys.presence(id, network))));
    const networks = await weave!.networks.list();
    const isPooled = (network: string, text: string) =>
      networks.find((n) => n.id === network)?.subnets.some((s) => s.pool && inside(s.cidr, text));
    const loose = own.flatMap((e) =>
      e.addresses.filter((a) => !isPooled(e.network, a)).map((a) => keys.claim(e.network, a.split('/')[0]!)),
    );
    claims.push(...loose.map((key) => `${key} ${id}`));
    const inKernel = [...addressesIn(kernel.listing())].map((text) => text.split(' ')[1]).sort();
    const recorded = attached.filter((e) => e.sandbox?.kind === 'netns').flatMap((e) => e.addresses);
    expect(inKernel, recorded.sort(), `${name} has in its kernel what is recorded`);
    for (const [key, addresses] of promised) {
      const [host, network, container] = key.split(' ');
      if (host !== name || givenUp.has(`${name} ${container}`)) continue;
      const wanted = networks.find((n) => n.name === network)?.id;
      const { id: full } = containers.get(container!)!;
      const on = own.find((e) => e.network === wanted && e.container?.id === full);
      // With the prefix length of a subnet that may have grown.
      const has = (on?.addresses ?? []).map(plain);
      expect(
        addresses.filter((a) => !has.includes(plain(a))),
        [],
        `${key} still has what it was promised`,
      );
    }
  }
  expect(
    under('/weave/endpoint/').map(({ key }) => key),
    published.sort(),
    'endpoints in the directory',
  );
  expect(
    under(keys.allPresences).map(({ key }) => key),
    presences.sort(),
    'presences',
  );
  expect(
    under(keys.allClaims).map(({ key, value }) => `${key} ${value}`),
    claims.sort(),
    'claims',
  );
  const strange = under(keys.allCells).filter(
    ({ key, value }) => !ids.includes(value) || !defined('pool').includes(key.split('/')[3]!),
  );
  expect(strange, [], 'cells of nobody');
  for (const { key } of under(keys.allCells)) cidr(cidrInKey(key));
  return found;
}

const plain = (text: string) => text.split('/')[0]!;

function inside(subnet: string, text: string): boolean {
  const [outer, inner] = [cidr(subnet), cidr(text)];
  const bits = BigInt((outer.family === 4 ? 32 : 128) - outer.length);
  return outer.family === inner.family && outer.value >> bits === inner.value >> bits;
}
