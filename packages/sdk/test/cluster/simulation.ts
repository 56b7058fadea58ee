import { memoryDirectory } from '@weave/core/testing';
import { type Member, member } from './crowd.ts';
import { type Virtual, virtualTime } from './virtual.ts';

/** Endpoints of each, and hosts of each network: a host has half of its endpoints on one, and is on two. */
const [HOSTS, EACH, SPREAD, SEED] = process.argv.slice(2).map(Number) as [number, number, number, number];
const NETWORKS = Math.max(2, Math.round((HOSTS * 2) / SPREAD));
const MINUTES = 3;
/** Of all endpoints in a minute, as milliseconds between two. */
const BETWEEN_MS = 60_000 / (HOSTS * EACH * 0.01);
const AWAY_MS = 500;
const CUT_OFF = 0.05;

const networksOf = (index: number): readonly string[] => [
  `n${index % NETWORKS}`,
  `n${(index + 1 + Math.floor(index / NETWORKS)) % NETWORKS}`,
];
const nameOf = (number: number) => (number + 1).toString(36);

/** How long it takes until a change is known to all who are to know of it. */
function createWaves(virtual: Virtual) {
  const waiting = new Map<string, { since: number; hosts: Set<string> }>();
  const delays: number[] = [];
  return {
    delays,
    begin(change: string, hosts: Iterable<string>): void {
      const wave = { since: virtual.now(), hosts: new Set(hosts) };
      if (wave.hosts.size > 0) waiting.set(change, wave);
    },
    saw(host: string, change: string): void {
      const wave = waiting.get(change);
      if (!wave?.hosts.delete(host) || wave.hosts.size > 0) return;
      delays.push(virtual.now() - wave.since);
      waiting.delete(change);
    },
    left: () => waiting.size,
  };
}

/** The endpoints of all hosts, which come and go. */
function createChurn(virtual: Virtual, waves: ReturnType<typeof createWaves>, members: readonly Member[]) {
  const problems: unknown[] = [];
  const ids = new Map<string, string>();
  const cut = new Set<number>();
  const on = new Map<string, Set<number>>();
  let changes = 0;
  for (const index of members.keys())
    for (const name of networksOf(index)) on.set(name, (on.get(name) ?? new Set()).add(index));
  const othersOn = (network: string, index: number) =>
    [...on.get(network)!].filter((other) => other !== index && !cut.has(other)).map((other) => members[other]!.id);
  const inBackground = (work: Promise<void>) => void work.catch((error: unknown) => problems.push(error));

  async function come(index: number, number: number): Promise<void> {
    const network = networksOf(index)[number % 2]!;
    const { endpoint } = await members[index]!.weave.attach({ container: nameOf(number) }, [], { network });
    ids.set(`${index} ${number}`, endpoint);
    if (!cut.has(index)) waves.begin(`${endpoint} came`, othersOn(network, index));
  }

  async function go(index: number, number: number): Promise<void> {
    const network = networksOf(index)[number % 2]!;
    await members[index]!.weave.detach({ container: nameOf(number) }, [], { network });
    if (!cut.has(index)) waves.begin(`${ids.get(`${index} ${number}`)} went`, othersOn(network, index));
    ids.delete(`${index} ${number}`);
    virtual.after(AWAY_MS, () => inBackground(come(index, number)));
  }

  return {
    ...{ problems, cut, on },
    attach: (index: number, number: number) => inBackground(come(index, number)),
    churn(): void {
      const [index, number] = [virtual.random(HOSTS), virtual.random(EACH)];
      if (!ids.has(`${index} ${number}`)) return;
      changes++;
      inBackground(go(index, number));
    },
    changes: () => changes,
  };
}

/** What {@link simulate} saw. */
export interface Seen {
  /** The first of what was refused. */
  problems: string[];
  /** Endpoints in the directory once all were attached, and at the end. */
  filled: number;
  published: number;
  /** Changes that were not known to all who are to know them, once all were attached. */
  unknown: number;
  /** Hosts that know other endpoints than those of their networks. */
  wrongViews: number;
  addresses: number;
  /** How many endpoints were replaced. */
  changes: number;
  /** Until a change was known everywhere, in virtual milliseconds. */
  p99: number;
  /** Of these the host that was told of most. */
  told: number;
  seconds: { fill: number; churn: number };
}

async function simulate(seed: number): Promise<Seen> {
  const began = performance.now();
  const virtual = virtualTime(seed);
  const directory = memoryDirectory({ later: virtual.latency(1, 5), clock: virtual.now });
  const waves = createWaves(virtual);
  const saw = (host: string, endpoint: string, record: unknown) =>
    waves.saw(host, `${endpoint} ${record ? 'came' : 'went'}`);
  const members: Member[] = [];
  for (let index = 0; index < HOSTS; index++) members.push(await member(index, { virtual, directory, saw }));
  await virtual.pass(3000);
  for (let n = 0; n < NETWORKS; n++) {
    const { weave } = members[n % HOSTS]!;
    void weave.networks.create({ name: `n${n}`, subnets: [{ cidr: `10.${64 + (n >> 6)}.${(n & 63) << 2}.0/22` }] });
    await virtual.pass(50);
  }
  await virtual.pass(1000);

  const { cut, on, problems, attach, churn, changes } = createChurn(virtual, waves, members);
  for (let number = 0; number < EACH; number++) {
    for (const index of members.keys()) attach(index, number);
    await virtual.pass(100);
  }
  await virtual.pass(5000);
  const filled = directory.entries('/weave/endpoint/').length;
  const unknown = waves.left();
  const fill = performance.now();

  waves.delays.length = 0;
  for (const { counts } of members) Object.assign(counts, { lists: 0, listed: 0, commits: 0, news: new Map() });
  for (let minute = 0; minute < MINUTES; minute++) await pass(minute === 1);
  async function pass(isPartitioned: boolean): Promise<void> {
    for (let i = 0; isPartitioned && i < HOSTS * CUT_OFF; i++) cut.add(virtual.random(HOSTS));
    for (const index of cut) members[index]!.client.cut();
    for (let at = 0; at < 60_000; at += BETWEEN_MS) {
      if (!isPartitioned || at > 20_000) for (const index of cut) members[index]!.client.heal();
      if (!isPartitioned || at > 30_000) cut.clear();
      churn();
      await virtual.pass(BETWEEN_MS);
    }
  }
  await virtual.pass(30_000);

  const views = await Promise.all(
    members.map(async ({ weave }) => (await weave.endpoints.list({ everywhere: true })).length),
  );
  const wanted = members.map((_, index) =>
    networksOf(index).reduce((sum, name) => sum + [...on.get(name)!].reduce((n, host) => n + onOne(host, name), 0), 0),
  );
  const entries = directory.entries('/weave/endpoint/');
  const addresses = entries.map(
    ({ key, value }) => `${key.split('/')[3]} ${(JSON.parse(value) as { addresses: string[] }).addresses[0]}`,
  );
  const delays = waves.delays.sort((a, b) => a - b);
  return {
    problems: problems.slice(0, 3).map(String),
    ...{ filled, unknown, published: entries.length },
    wrongViews: views.filter((count, index) => count !== wanted[index]).length,
    addresses: new Set(addresses).size,
    changes: changes(),
    p99: delays[Math.floor(delays.length * 0.99)] ?? Number.POSITIVE_INFINITY,
    told: Math.max(...members.map(({ counts }) => counts.news.get('endpoint') ?? 0)),
    seconds: { fill: (fill - began) / 1000, churn: (performance.now() - fill) / 1000 },
  };
}

/** How many endpoints a host has on a network. */
const onOne = (index: number, network: string): number =>
  Array.from({ length: EACH }, (_, number) => networksOf(index)[number % 2] === network).filter(Boolean).length;

process.send?.(await simulate(SEED));
