import { type MemoryDirectory, memoryDirectory } from '@weave/core/testing';
import { isWeaveError, type Weave } from '../../src/index.ts';
import { type Judge, judge } from './judge.ts';
import { type Machine, machine } from './machine.ts';
import { type Virtual, virtualTime } from './virtual.ts';

/** Some hosts, what was asked of them, and what they have to keep. */
export interface World {
  readonly virtual: Virtual;
  readonly directory: MemoryDirectory;
  readonly machines: Machine[];
  readonly judge: Judge;
  /** HOST NETWORK CONTAINER → addresses, of each attach that was acknowledged and not asked to go since. */
  readonly promised: Map<string, string[]>;
  /** How much is under way in processes that live; none of it may be left waiting in the end. */
  underWay(): number;
  /** What happened, for whom it fails. */
  readonly story: string[];
  note(what: string): void;
  /** Asks something of a host, if it runs; goes on at once. */
  ask(machine: Machine, what: string, verb: (weave: Weave) => Promise<unknown>): void;
  pick<T>(list: readonly T[]): T;
  end(): Promise<void>;
}

export const RECLAIM_MS = 40_000;

export async function createWorld(seed: number): Promise<World> {
  const virtual = virtualTime(seed);
  const directory = memoryDirectory({ later: virtual.latency(1, 10), clock: virtual.now });
  const story: string[] = [];
  const note = (what: string) => void story.push(`${virtual.now().toFixed(0).padStart(7)} ${what}`);
  const machines: Machine[] = [];
  const asked = new Map<Promise<unknown>, { on: Machine; weave: Weave }>();
  const world: World = {
    ...{ virtual, directory, machines, promised: new Map(), story, note },
    underWay: () => [...asked.values()].filter(({ on, weave }) => on.weave === weave).length,
    judge: judge(virtual, directory, machines, note),
    ask(on, what, verb) {
      const { weave } = on;
      if (!weave) return;
      note(`${on.name} ${what}`);
      const done = verb(weave).then(
        (answer) => note(`${on.name} ${what} → ${JSON.stringify(answer) ?? 'done'}`),
        (error) => {
          if (!isWeaveError(error) || error.kind === 'bug') throw error;
          note(`${on.name} ${what} ✗ ${error.code} ${error.message}`);
        },
      );
      const tracked = done.finally(() => asked.delete(tracked));
      asked.set(tracked, { on, weave });
      tracked.catch((error) => world.judge.blame(`${on.name} ${what}: ${error.stack}`));
    },
    pick: (list) => list[virtual.random(list.length)]!,
    async end() {
      for (const each of machines) each.kill();
    },
  };
  const expire = () => {
    directory.expireLeases();
    virtual.after(1000, expire);
  };
  expire();
  const count = 3 + virtual.random(3);
  for (let index = 0; index < count; index++)
    machines.push(
      machine(index, {
        ...{ virtual, directory, reclaimAfterMs: RECLAIM_MS },
        changed: world.judge.look,
        log(on, message, fields) {
          if (message.endsWith('it is cut off')) world.judge.gaveUp(on, fields);
          note(`${on.name} log: ${message} ${JSON.stringify(fields)}`);
        },
      }),
    );
  for (const each of machines) starts(world, each);
  await virtual.pass(300 + virtual.random(3000));
  return world;
}

/** A daemon begins. */
export function starts(world: World, on: Machine): void {
  world.note(`${on.name} starts`);
  on.start().catch((error) => world.judge.blame(`${on.name} did not start: ${error.stack}`));
}
