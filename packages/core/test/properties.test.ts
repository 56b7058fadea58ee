import {
  type AttachTarget,
  adoptNetwork,
  attach,
  attachmentOf,
  type Change,
  cidr,
  contains,
  createEndpoint,
  createNetwork,
  deleteEndpoint,
  detach,
  type Endpoint,
  forgetNetwork,
  formatAddress,
  GATEWAY_PREFIX,
  HOST,
  handoverName,
  hasGateway,
  isWeaveError,
  joinEndpoint,
  leaveEndpoint,
  nameEndpoint,
  nameNetwork,
  type Op,
  opensShard,
  parseAddressRequest,
  publishPorts,
  releaseAddress,
  releasePool,
  removeNetwork,
  requestAddress,
  requestPool,
  STRAYS,
  type State,
  SWITCH,
} from '@weave/core';
import fc from 'fast-check';
import t from 'tap';
import { digest, Refused, World } from './world.ts';

const NAMES = ['weave', 'blue', 'red', 'green-with-a-long-name'];
/** Small, so that they run out. */
const SUBNETS = ['10.1.0.0/29', '10.2.0.0/28', '10.3.0.0/31', '10.1.0.0/16', 'fd01::/125', 'fd02::/64', '10.4.0.0/24'];
const REQUESTS = [
  'net:default',
  '10.1.0.1/29',
  'ip:10.1.0.2/29',
  '10.1.0.3/16',
  'net:10.1.0.0/29',
  'net:10.1.0.4/30',
  'net:10.2.0.0/28',
  '10.2.0.5/28',
  'fd01::2/125',
  'net:fd02::/64',
  '192.0.2.1/24',
  '10.4.0.255/24',
];
const PATHS = [1, 2, 3, 4].map((pid) => `/proc/${pid}/ns/net`);
const mac = (n: number) => (n & 255).toString(16).padStart(2, '0');
const hex = (n: number) => n.toString(16).padStart(64, '0');

/** What a random number chooses. */
const of = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(list.length, 1)];

interface Step {
  verb: keyof typeof VERBS;
  a: number;
  b: number;
  c: number;
}

/** A world with strangers in it, which must come to no harm. */
class Playground extends World {
  readonly strangers = new Set<string>();
  readonly runs = new Map<string, number>();
  serial = 0;
  performed = 0;

  constructor() {
    super(PATHS);
    this.stranger(HOST, 'eth0', ['192.0.2.9/24', 'fd99::9/64']);
    this.stranger(HOST, 'docker0', ['172.17.0.1/16']);
    for (const path of PATHS) this.stranger(path, 'eth0', ['172.17.0.2/16']);
  }

  stranger(netns: string, name: string, addresses: string[] = [], kind = 'dummy'): void {
    this.kernel.addForeign(netns, {
      ...{ name, addresses, kind },
      routes: [{ destination: `198.51.${this.strangers.size & 255}.0/24` }],
    });
    this.strangers.add(`${netns} ${name}`);
  }

  /** The part of the listing that is about strangers. */
  strangersListing(): string {
    let netns = '';
    let shown = false;
    return this.kernel
      .listing()
      .split('\n')
      .filter((line) => {
        if (!line.startsWith(' ')) netns = line;
        const [, name] = /^ {2}\S+ (\S+)/.exec(line) ?? [];
        if (name) shown = this.strangers.has(`${netns} ${name}`);
        return shown && line.startsWith(' ');
      })
      .join('\n');
  }

  target(n: number): AttachTarget | undefined {
    const path = of(PATHS, n)!;
    const id = this.kernel.netnsId(path);
    const container = { id: hex(0xc0 + (n % PATHS.length)), name: `c${n % PATHS.length}` };
    // The last is a namespace without a container.
    return id === undefined ? undefined : { path, id, container: n % PATHS.length === 3 ? undefined : container };
  }

  async verb(changes: readonly Change[], touched: { networks?: string[]; endpoints?: string[] } = {}): Promise<void> {
    const before = digest(this.state);
    const undo = this.state.inverse(changes);
    this.state.apply(changes);
    this.state.apply(undo);
    same(digest(this.state), before, 'inverse() undoes exactly');
    try {
      await this.carryOut(changes, touched);
    } catch (error) {
      same(digest(this.state), before, 'what the kernel refused has changed nothing');
      throw error;
    }
  }
}

function same(actual: string, expected: string, what: string): void {
  if (actual !== expected) throw new Error(`${what}:\n--- expected\n${expected}\n--- actual\n${actual}`);
}

const networks = (w: Playground) => [...w.state.networks.values()];
const endpoints = (w: Playground, owner: 'weave' | 'docker') =>
  [...w.state.endpoints.values()].filter((e) => e.owner === owner);

const VERBS = {
  async create(w: Playground, { a, b, c }: Step) {
    const subnets = [SUBNETS[a % SUBNETS.length]!, SUBNETS[b % SUBNETS.length]!].slice(0, (c % 3) + (a % 2));
    const { network, changes } = createNetwork(
      w.state,
      {
        name: of(NAMES, a)!,
        subnets: subnets.map((text) => ({ cidr: text })),
        options: {
          'works.weave.gateway': of(['engine', 'weave', 'none'], b)!,
          'works.weave.multicast': c % 2 ? 'true' : 'false',
          ...(c % 5 ? {} : { mtu: `${1280 + (a % 200)}` }),
        },
        internal: c % 7 === 0,
      },
      { now: w.serial * 1000, avoid: ['10.64.16.0/20'] },
    );
    await w.verb(changes, { networks: [network.id] });
  },
  async remove(w: Playground, { a, b }: Step) {
    const unused = networks(w).filter((n) => n.owner === 'weave' && w.state.endpointsOf(n.id).length === 0);
    const name = (b % 2 ? of(unused, a)?.name : undefined) ?? of(NAMES, a)!;
    const { network, changes } = removeNetwork(w.state, name);
    await w.verb(changes, { networks: [network.id] });
  },
  /** As an engine does it: a pool, a gateway, the network. */
  async adopt(w: Playground, { a, b, c }: Step) {
    const ours = c % 4 > 0;
    const wanted = SUBNETS[b % SUBNETS.length]!;
    const family = a % 3 ? cidr(wanted).family : 4;
    const pool = ours
      ? requestPool(w.state, { family, ...(a % 3 ? { cidr: wanted } : {}), now: w.serial * 1000 })
      : undefined;
    if (pool) await w.verb(pool.changes);
    const gateway = pool && c % 2 ? requestAddress(w.state, pool.pool.id) : undefined;
    if (gateway) await w.verb(gateway.changes);
    const id = `docker${hex(++w.serial).slice(6)}`;
    const changes = adoptNetwork(w.state, {
      id,
      name: c % 3 ? undefined : of(NAMES, a),
      subnets: [{ cidr: pool?.pool.cidr ?? wanted, gateway: gateway?.cidr, ours }],
      options: { 'works.weave.gateway': of(['engine', 'weave', 'none'], a)! },
      internal: false,
    });
    await w.verb(changes, { networks: [id] });
  },
  /** Once: engines do not rename. */
  async name(w: Playground, { a, b }: Step) {
    const unnamed = networks(w).filter((n) => n.owner === 'docker' && n.id.startsWith(n.name));
    const network = of(unnamed, a);
    if (network) await w.verb(nameNetwork(w.state, network.id, of(NAMES, b)!), { networks: [network.id] });
  },
  async forget(w: Playground, { a }: Step) {
    const network = of(
      networks(w).filter((n) => n.owner === 'docker'),
      a,
    );
    if (!network) return;
    const ids = w.state.endpointsOf(network.id).map((e) => e.id);
    await w.verb(forgetNetwork(w.state, network.id), { networks: [network.id], endpoints: ids });
    for (const { pool } of network.subnets) if (pool) await w.verb(releasePool(w.state, pool));
  },
  async attach(w: Playground, { a, b, c }: Step) {
    const [target, network] = [w.target(a), of(networks(w), b)];
    if (!target || !network) return;
    const requests = c % 4 ? [of(REQUESTS, c)!, of(REQUESTS, c >> 4)!].slice(0, 1 + (c % 2)) : [];
    const { endpoint, granted, changes } = attach(w.state, network, target, requests.map(parseAddressRequest));
    const shard = opensShard(w.state, endpoint) ? [network.id] : [];
    await w.verb(changes, { networks: shard, endpoints: [endpoint.id] });
    for (const text of granted)
      if (!w.state.endpoint(endpoint.id).addresses.includes(text))
        throw new Error(`${text} was granted, but is not there`);
    await isRight(w, endpoint);
  },
  async detach(w: Playground, { a, b, c }: Step) {
    const [target, network] = [w.target(a), of(networks(w), b)];
    if (!target || !network) return;
    const endpoint = attachmentOf(w.state, network, target);
    const requests = c % 3 ? [of(REQUESTS, c)!] : [];
    const { changes } = detach(w.state, endpoint, requests.map(parseAddressRequest));
    if (!endpoint) return;
    await w.verb(changes, { endpoints: [endpoint.id] });
    await isRight(w, endpoint);
  },
  async endpoint(w: Playground, { a, b }: Step) {
    const network = of(
      networks(w).filter((n) => n.owner === 'docker'),
      a,
    );
    const pool = network?.subnets[0]?.pool;
    if (!network || !pool) return;
    const address = requestAddress(w.state, pool, b % 3 ? undefined : of(REQUESTS, b)!.replace(/^\w+:|\/.*/g, ''));
    await w.verb(address.changes);
    const id = hex(++w.serial);
    const { endpoint, changes } = createEndpoint(w.state, { id, network: network.id, addresses: [address.cidr] });
    await w.verb(changes, { networks: opensShard(w.state, endpoint) ? [network.id] : [] });
  },
  async join(w: Playground, { a, b }: Step) {
    const endpoint = of(
      endpoints(w, 'docker').filter((e) => !e.sandbox),
      a,
    );
    if (!endpoint) return;
    await w.verb(joinEndpoint(w.state, endpoint.id, `/sandbox/${b % 3}`).changes, { endpoints: [endpoint.id] });
    await isRight(w, endpoint);
    const path = of(PATHS, b)!;
    // The engine takes it, or has not come to it yet.
    if (b % 4 && w.kernel.netnsId(path)) w.kernel.moveLink(HOST, handoverName(endpoint.id), path, `weng${w.serial++}`);
  },
  async publish(w: Playground, { a, b }: Step) {
    const endpoint = of(
      endpoints(w, 'docker').filter((e) => e.sandbox),
      a,
    );
    if (!endpoint) return;
    const changes = publishPorts(w.state, endpoint.id, [{ protocol: 'tcp', hostPort: 8000 + (b % 3), port: 80 }]);
    await w.verb(changes);
  },
  async leave(w: Playground, { a }: Step) {
    const endpoint = of(endpoints(w, 'docker'), a);
    if (endpoint) await w.verb(leaveEndpoint(w.state, endpoint.id), { endpoints: [endpoint.id] });
  },
  async delete(w: Playground, { a }: Step) {
    const endpoint = of(endpoints(w, 'docker'), a);
    if (!endpoint) return;
    await w.verb(deleteEndpoint(w.state, endpoint.id), { endpoints: [endpoint.id] });
    const pool = w.state.networks.get(endpoint.network)!.subnets[0]!.pool!;
    for (const text of endpoint.addresses) await w.verb(releaseAddress(w.state, pool, formatAddress(cidr(text))));
  },
  async called(w: Playground, { a, b }: Step) {
    const endpoint = of(endpoints(w, 'docker'), a);
    if (endpoint) await w.verb(nameEndpoint(w.state, endpoint.id, { id: hex(0xc0 + (b % 4)), name: `c${b % 4}` }));
  },
  /** Another host has an endpoint on a network of ours, or had. */
  async remote(w: Playground, { a, b, c }: Step) {
    const network = of(networks(w), a);
    if (!network) return;
    const peer = { id: `peer${b % 3}`, name: `h${b % 3}`, ...(b % 3 ? { underlay: `192.0.2.${b % 3}` } : {}) };
    const known = w.state.endpointsOf(network.id).filter((e) => e.peer !== w.state.self);
    const old = of(known, c);
    const serial = ++w.serial;
    const made: Endpoint = {
      ...{ id: hex(serial), network: network.id, peer: peer.id, owner: 'weave' },
      ...{
        addresses: [`100.64.${serial >> 8}.${serial & 255}/32`],
        mac: `5a:77:64:40:${mac(serial >> 8)}:${mac(serial)}`,
      },
    };
    const record = c % 3 === 0 ? made : c % 3 === 1 && old ? { ...old, peer: peer.id } : null;
    const id = record?.id ?? old?.id;
    if (!id) return;
    const changes: Change[] = [
      { table: 'peer', id: peer.id, record: peer },
      { table: 'endpoint', id, record },
    ];
    await w.verb(changes, { networks: [network.id] });
  },
  /** A container ends, and may start again at the same path. */
  async ends(w: Playground, { a, b }: Step) {
    const path = of(PATHS, a)!;
    for (const stranger of [...w.strangers]) if (stranger.startsWith(`${path} `)) w.strangers.delete(stranger);
    w.kernel.removeNamespace(path);
    if (b % 3) return;
    w.kernel.addNamespace(path);
    w.stranger(path, 'eth0', ['172.17.0.2/16']);
  },
  async starts(w: Playground, { a }: Step) {
    const path = of(PATHS, a)!;
    if (!w.kernel.netnsId(path)) w.kernel.addNamespace(path);
  },
  /** Somebody meddles with what is ours. */
  async meddle(w: Playground, { a, b }: Step) {
    const ours = w.resources({ networks: networks(w).map((n) => n.id), endpoints: [...w.state.endpoints.keys()] });
    const resource = of(ours, a);
    const ops = resource ? meddling(resource, b).filter((op) => !w.strangers.has(placeOf(op))) : [];
    await w.kernel.apply(ops.map((op) => [op]));
  },
  async stranger(w: Playground, { a, b }: Step) {
    const netns = of([HOST, ...PATHS], a)!;
    const name = b % 4 || netns === HOST ? `dummy${w.serial++}` : 'ethwe';
    if (netns !== HOST && !w.kernel.netnsId(netns)) return;
    const [seen] = await w.kernel.observe([{ netns, links: [name] }]);
    if (seen?.links.length === 0) w.stranger(netns, name, ['203.0.113.5/24', '10.1.0.3/16'], b % 3 ? 'veth' : 'dummy');
  },
  /** A container gives our interface another name. */
  async rename(w: Playground, { a }: Step) {
    const { sandbox } = of(endpoints(w, 'weave'), a) ?? {};
    if (sandbox?.kind !== 'netns') return;
    const { path: netns, interface: name } = sandbox;
    const [seen] = await w.kernel.observe([{ netns, links: [name] }]);
    if (seen?.links.length && !w.strangers.has(`${netns} ${name}`))
      w.kernel.moveLink(netns, name, netns, `r${w.serial++}`);
  },
  async stray(w: Playground, { a, b }: Step) {
    const op: Op = { op: 'addBridge', netns: SWITCH, name: `stray${a % 3}`, mac: '52:00:00:00:00:77', mtu: 1500 };
    await w.kernel.apply([b % 2 ? [op] : [{ ...op, mtu: 1400 }]]);
  },
  /** The next verb that touches the kernel fails there, somewhere. */
  async failure(w: Playground, { a }: Step) {
    w.kernel.failAt({ after: a % 6, code: of(['ENOMEM', 'ENOBUFS', 'EEXIST', 'ENODEV'] as const, a)! });
  },
  /** The daemon starts again: its records, and the kernel as it is. */
  async restart(w: Playground) {
    const before = digest(w.state);
    w.state = w.state.copy();
    same(digest(w.state), before, 'copy() is equal');
    await pass(w);
  },
  pass,
};

/** The link, or the sysctl, that an operation is about. */
const placeOf = (op: Op): string => `${op.netns} ${'name' in op ? op.name : 'link' in op ? op.link : op.key}`;

function meddling(resource: ReturnType<World['resources']>[number], n: number): Op[] {
  const { netns } = resource;
  if (resource.op === 'addAddress' || resource.op === 'addRoute' || resource.op === 'addFdb') {
    if (resource.op === 'addAddress' && n % 3 === 0) return [{ ...resource, address: `10.99.0.${n % 9}/24` }];
    if (resource.op === 'addAddress') return [{ ...resource, op: 'deleteAddress' }];
    if (resource.op === 'addRoute') return [{ ...resource, op: 'deleteRoute' }];
    return [{ ...resource, op: 'deleteFdb' }];
  }
  if (resource.op === 'setSysctl') return [{ ...resource, value: resource.value === '0' ? '1' : '0' }];
  if (!('name' in resource)) return [];
  const far = resource.op === 'addVeth' && resource.peer.up ? [resource.peer] : [];
  const { name, netns: at } = of([{ name: resource.name, netns }, ...far], n)!;
  const changes: Omit<Extract<Op, { op: 'setLink' }>, 'op' | 'netns' | 'name'>[] = [
    { up: false },
    { mtu: 1290 },
    { mac: '02:00:00:00:00:99' },
    ...(at === SWITCH ? [{ master: '' }] : []),
  ];
  return n % 5 === 0
    ? [{ op: 'deleteLink', netns: at, name }]
    : [{ op: 'setLink', netns: at, name, ...of(changes, n)! }];
}

/** A full pass leaves nothing to do, except where a stranger has the name that is wanted. */
async function pass(w: Playground): Promise<void> {
  w.kernel.failAt(undefined);
  const { batches, failures } = await w.reconcile();
  for (const batch of batches) for (const op of batch.ops) namesOnlyOurs(w, op, batch.ops);
  for (const { code, link, netns } of failures)
    if (code !== 'EEXIST' || !w.strangers.has(`${netns} ${link}`)) throw new Error(`${code} ${link} in ${netns}`);
  const left = (await w.plan()).flatMap((batch) => batch.ops);
  const excused = new Set(failures.map(({ netns, link }) => `${netns} ${link}`));
  const unexcused = left.filter(
    (op) =>
      !excused.has(
        op.op === 'addVeth' ? `${op.peer.netns} ${op.peer.name}` : `${op.netns} ${'link' in op ? op.link : ''}`,
      ),
  );
  if (failures.length === 0 && unexcused.length > 0)
    throw new Error(`there is still something to do: ${JSON.stringify(unexcused)}`);
}

function namesOnlyOurs(w: Playground, op: Op, batch: readonly Op[]): void {
  const at = placeOf(op);
  // Where a stranger has the name, the pair cannot be made, and nothing after it in its batch is done.
  const first = batch.find((each) => each.op === 'addVeth' && `${each.peer.netns} ${each.peer.name}` === at);
  const isHeldUp = first !== undefined && batch.indexOf(first) < batch.indexOf(op);
  if (w.strangers.has(at) && !isHeldUp) throw new Error(`the plan names a stranger: ${JSON.stringify(op)}`);
  if (op.netns === SWITCH) return;
  if (op.netns === HOST) {
    if (!at.includes(GATEWAY_PREFIX)) throw new Error(`not ours in the host: ${JSON.stringify(op)}`);
    return;
  }
  const interfaces = [...w.state.endpoints.values()].flatMap(({ sandbox }) =>
    sandbox?.kind === 'netns' && sandbox.path === op.netns ? [sandbox.interface] : [],
  );
  if (!interfaces.some((name) => at.includes(name))) throw new Error(`not ours in a sandbox: ${JSON.stringify(op)}`);
}

/**
 * What a verb has just done is right, whatever else is wrong. But with a stray address all is asked for again, and with
 * a stray pair the routes are.
 */
async function isRight(w: Playground, { id }: Endpoint): Promise<void> {
  const batches = await w.plan();
  const own = batches.find((batch) => batch.key === `endpoint/${id}`)?.ops ?? [];
  if (own.some((op) => op.op === 'deleteAddress')) return;
  const strays = batches.some((batch) => batch.key === STRAYS);
  const open = own.filter((op) => !(strays && op.op === 'addRoute'));
  if (open.length > 0) throw new Error(`the verb left undone: ${JSON.stringify(open)}`);
}

function noAddressTwice(state: State): void {
  for (const network of state.networks.values()) {
    const held = [
      ...(hasGateway(network) ? network.subnets.flatMap((s) => s.gateway ?? []) : []),
      ...state.endpointsOf(network.id).flatMap((e) => e.addresses.map((text) => formatAddress(cidr(text)))),
    ];
    if (new Set(held).size < held.length) throw new Error(`an address is there twice: ${held}`);
    const macs = state.endpointsOf(network.id).map((e) => e.mac);
    if (new Set(macs).size < macs.length) throw new Error(`a MAC is there twice: ${macs}`);
    for (const { cidr: text, pool } of network.subnets) if (pool) poolIsRight(state, network.id, text, pool);
  }
}

/** What is taken of a pool is inside it, and an engine's lease is no attachment's address. */
function poolIsRight(state: State, network: string, text: string, pool: string): void {
  const { family } = cidr(text);
  for (const [value, owner] of state.poolIndex(pool).taken) {
    const address = formatAddress({ family, value });
    if (!contains(cidr(text), { family, value })) throw new Error(`${address} is not in ${text}`);
    const holder = state.addressOwner(network, address);
    const attached = holder !== undefined && state.endpoint(holder).owner === 'weave' ? holder : '';
    if (owner !== attached)
      throw new Error(`${address} is taken by ${owner || 'an engine'}, but on ${attached || 'none'}`);
  }
}

let kernelOps = 0;
const counts = Object.fromEntries(Object.keys(VERBS).map((verb) => [verb, { done: 0, refused: 0 }])) as Record<
  Step['verb'],
  { done: number; refused: number }
>;

async function play(script: readonly Step[]): Promise<void> {
  const w = new Playground();
  let strangers = w.strangersListing();
  for (const step of script) {
    const done = await attempt(w, step);
    counts[step.verb][done ? 'done' : 'refused']++;
    noAddressTwice(w.state);
    const now = w.strangersListing();
    if (!['ends', 'starts', 'stranger'].includes(step.verb)) same(now, strangers, 'strangers come to no harm');
    strangers = now;
  }
  await VERBS.restart(w);
  kernelOps += w.kernel.performed;
}

/** False where Weave or the kernel refused. */
async function attempt(w: Playground, step: Step): Promise<boolean> {
  try {
    await VERBS[step.verb](w, step);
    return true;
  } catch (error) {
    if (error instanceof Refused || (isWeaveError(error) && error.kind !== 'bug')) return false;
    throw error;
  }
}

const weights: [number, Step['verb']][] = [
  [4, 'create'],
  [2, 'remove'],
  [3, 'adopt'],
  [1, 'name'],
  [1, 'forget'],
  [10, 'attach'],
  [5, 'detach'],
  [6, 'endpoint'],
  [6, 'join'],
  [4, 'remote'],
  [2, 'publish'],
  [3, 'leave'],
  [3, 'delete'],
  [2, 'called'],
  [2, 'ends'],
  [3, 'starts'],
  [6, 'meddle'],
  [2, 'stranger'],
  [2, 'rename'],
  [1, 'stray'],
  [2, 'failure'],
  [1, 'restart'],
  [4, 'pass'],
];

const number = fc.nat({ max: 999 });
const step: fc.Arbitrary<Step> = fc.record({
  verb: fc.constantFrom(...weights.flatMap(([n, verb]) => new Array<Step['verb']>(n).fill(verb))),
  a: number,
  b: number,
  c: number,
});

t.test('random verbs, drift, failures and restarts keep every promise', async (t) => {
  const began = Date.now();
  const scripts = fc.array(step, { minLength: 100, maxLength: 200, size: 'max' });
  await fc.assert(fc.asyncProperty(scripts, play), { numRuns: 520, interruptAfterTimeLimit: 80_000 });
  const verbs = Object.values(counts).reduce((sum, { done, refused }) => sum + done + refused, 0);
  t.comment(`${verbs} verbs, ${kernelOps} operations of the kernel, ${Date.now() - began} ms`);
  t.ok(verbs + kernelOps >= 100_000, 'there were enough of them');
  for (const [verb, { done, refused }] of Object.entries(counts))
    t.ok(done >= 100, `${verb}: ${done} done, ${refused} refused`);
});
