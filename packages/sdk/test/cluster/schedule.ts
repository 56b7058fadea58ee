import { disagreements } from './judge.ts';
import type { Machine } from './machine.ts';
import { createWorld, RECLAIM_MS, starts, type World } from './world.ts';

type Step = (world: World) => void | Promise<void>;

const NETWORKS = ['weave', 'weave', 'blue', 'tiny', 'green'] as const;
const SUBNETS: Record<string, string> = { blue: '10.9.0.0/24', tiny: '10.10.0.0/28', green: '10.9.0.0/25' };
/** `blue` and `green` are in each other's way. */
const GROWN = [
  ['blue', '10.9.0.0/23'],
  ['blue', '10.8.0.0/15'],
  ['tiny', '10.10.0.0/26'],
  ['tiny', '10.10.0.0/20'],
  ['green', '10.9.0.0/24'],
  ['green', '10.9.0.0/22'],
  ['weave', '10.32.0.0/11'],
] as const;
const CONTAINERS = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6'] as const;

const anyHost = (w: World): Machine => w.pick(w.machines);

function attach(w: World, addresses: readonly string[]): void {
  const on = anyHost(w);
  const [network, container] = [w.pick(NETWORKS), w.pick(CONTAINERS)];
  if (!on.containers.has(container)) on.run(container);
  const key = `${on.name} ${network} ${container}`;
  w.ask(on, `attach ${container} ${network} ${addresses}`, async (weave) => {
    const got = await weave.attach({ container }, addresses, { network });
    if (on.weave !== weave) return 'too late';
    w.promised.set(key, [...(w.promised.get(key) ?? []), ...got.addresses]);
    return got.addresses;
  });
}

function explicitIn(w: World): string {
  const block = w.pick(['10.32.0', '10.32.0', '10.32.1', '10.9.0', '10.10.0']);
  const length = block === '10.10.0' ? 28 : block === '10.9.0' ? 24 : 12;
  return `${block}.${1 + w.virtual.random(length === 28 ? 14 : 140)}/${length}`;
}

const STEPS: Record<string, [weight: number, step: Step]> = {
  attach: [14, (w) => attach(w, [])],
  'attach explicit': [6, (w) => attach(w, [explicitIn(w)])],
  'attach loose': [4, (w) => attach(w, [`192.168.7.${1 + w.virtual.random(3)}/24`])],
  // Of no subnet, until one grows.
  'attach beside': [2, (w) => attach(w, [`10.${9 + w.virtual.random(2)}.1.${1 + w.virtual.random(4)}/24`])],
  detach: [
    8,
    (w) => {
      const on = anyHost(w);
      const [network, container] = [w.pick(NETWORKS), w.pick(CONTAINERS)];
      if (!on.containers.has(container) || !on.weave) return;
      // Whether it is done or not: it may be.
      const forget = () => void w.promised.delete(`${on.name} ${network} ${container}`);
      forget();
      w.ask(on, `detach ${container} ${network}`, (weave) =>
        weave.detach({ container }, [], { network }).finally(forget),
      );
    },
  ],
  create: [
    4,
    (w) => {
      const name = w.pick(['blue', 'tiny', 'green']);
      w.ask(anyHost(w), `create ${name}`, async (weave) => {
        await weave.networks.create({ name, subnets: [{ cidr: SUBNETS[name]! }] });
      });
    },
  ],
  grow: [
    3,
    (w) => {
      const [name, text] = w.pick([...GROWN]);
      w.ask(anyHost(w), `grow ${name} to ${text}`, async (weave) => {
        await weave.networks.grow(name, text);
      });
    },
  ],
  remove: [
    3,
    (w) => {
      const name = w.pick(['blue', 'tiny', 'green']);
      w.ask(anyHost(w), `remove ${name}`, (weave) => weave.networks.remove(name));
    },
  ],
  lease: [
    3,
    (w) => {
      const cidr = w.pick(['10.32.0.0/12', '10.9.0.0/24', '10.10.0.0/28']);
      w.ask(anyHost(w), `lease of ${cidr}`, (weave) => weave.pools.requestAddress(`weave:${cidr}`));
    },
  ],
  unlease: [
    3,
    (w) => {
      const cidr = w.pick(['10.32.0.0/12', '10.9.0.0/24', '10.10.0.0/28']);
      const address = `${cidr.slice(0, cidr.lastIndexOf('.'))}.${w.virtual.random(140)}`;
      w.ask(anyHost(w), `release ${address}`, (weave) => weave.pools.releaseAddress(`weave:${cidr}`, address));
    },
  ],
  pool: [
    1,
    (w) => w.ask(anyHost(w), 'pool 10.10.0.0/28', (weave) => weave.pools.request({ family: 4, cidr: '10.10.0.0/28' })),
  ],
  unpool: [
    1,
    (w) => w.ask(anyHost(w), 'release pool 10.10.0.0/28', (weave) => weave.pools.release('weave:10.10.0.0/28')),
  ],
  cut: [5, (w) => isolate(w, anyHost(w), 'cut')],
  hold: [3, (w) => isolate(w, anyHost(w), 'hold')],
  heal: [
    8,
    (w) => {
      const on = anyHost(w);
      w.note(`${on.name} heal`);
      on.heal();
    },
  ],
  kill: [
    3,
    (w) => {
      const on = anyHost(w);
      if (!on.weave) return;
      w.note(`${on.name} killed`);
      on.kill();
    },
  ],
  start: [6, (w) => void [anyHost(w)].filter(canStart).map((on) => starts(w, on))],
  expire: [
    3,
    (w) => {
      const on = anyHost(w);
      w.note(`${on.name} its lease expires`);
      on.client.expireLease();
    },
  ],
  rmpeer: [
    3,
    (w) => {
      const gone = anyHost(w);
      w.ask(anyHost(w), `rmpeer ${gone.name}`, (weave) => weave.cluster.remove(gone.name));
    },
  ],
  compact: [1, (w) => w.directory.compact()],
  lose: [
    1,
    async (w) => {
      if (w.virtual.random(4) > 0) return;
      w.note('the directory is lost');
      w.directory.loseData();
      await w.virtual.pass(w.virtual.random(3000));
      w.ask(anyHost(w), 'rebuild', (weave) => weave.cluster.rebuild());
    },
  ],
  wait: [4, (w) => w.virtual.pass(w.virtual.random(4000))],
  long: [1, (w) => w.virtual.pass(w.virtual.random(20_000))],
};

const canStart = (on: Machine) => on.weave === undefined && !on.starting;

function isolate(w: World, on: Machine, how: 'cut' | 'hold'): void {
  w.note(`${on.name} ${how}`);
  on.isolate(how);
}

const BAG = Object.entries(STEPS).flatMap(([name, [weight]]) => Array<string>(weight).fill(name));

/** After everything is whole again: by then all agree. */
const CONVERGE_MS = 20_000;

export async function playSchedule(seed: number): Promise<{ faults: string[]; story: string[]; count: number }> {
  const w = await createWorld(seed);
  const count = 10 + w.virtual.random(60);
  for (let step = 0; step < count; step++) {
    await STEPS[w.pick(BAG)]![1](w);
    // Often nothing is waited for: what is asked at once meets.
    await w.virtual.pass(w.virtual.random(3) === 0 ? 0 : w.virtual.random(300));
    if (w.judge.faults.length > 0) break;
  }
  if (w.judge.faults.length === 0) await whole(w);
  await w.end();
  return { faults: w.judge.faults, story: w.story, count };
}

async function whole(w: World): Promise<void> {
  w.note('everything is whole again');
  for (const on of w.machines) {
    on.heal();
    if (canStart(on)) starts(w, on);
  }
  await w.virtual.pass(100);
  for (const on of w.machines) w.ask(on, 'rebuild', (weave) => weave.cluster.rebuild());
  const looked = () => disagreements(w.directory, w.machines, w.promised, w.judge.givenUp);
  let found = ['never looked'];
  const agreed = async () => {
    found = await looked();
    return found.length === 0 && w.underWay() === 0;
  };
  const isIt = await w.virtual.until(agreed, CONVERGE_MS, 500);
  // What a host left that was removed, and died while it was cleared away, goes with time only.
  if (!isIt) {
    w.note(`only with time: ${found.join('\n')}`);
    await w.virtual.pass(2 * RECLAIM_MS);
    found = await looked();
    if (w.underWay() > 0) found.push(`${w.underWay()} verbs never returned`);
  }
  for (const each of found) w.judge.blame(each);
}
