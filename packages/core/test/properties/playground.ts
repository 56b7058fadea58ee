import { type Applied, type AttachTarget, type Change, HOST, type Op, type Touched } from '@weave/core';
import type { FailAt } from '@weave/core/testing';
import { hex } from '../given.ts';
import { digest, Refused, World } from '../world.ts';
import { Engine } from './engine.ts';

/** What a random step is made of: each verb takes them as it likes. */
export interface Numbers {
  a: number;
  b: number;
  c: number;
}

export type Verb = (w: Playground, numbers: Numbers) => Promise<void>;

export const PATHS = [1, 2, 3, 4].map((pid) => `/proc/${pid}/ns/net`);

/** There is nothing yet that a verb could be about. No error: it is thrown too often for a stack. */
export class Idle {}

/** What a random number chooses. */
export function of<T>(list: readonly T[], n: number): T {
  if (list.length === 0) throw new Idle();
  return list[n % list.length]!;
}

/** The process ends here, whatever it was doing. */
export class Crash extends Error {}

export interface Doom {
  /** How many durable writes and operations it still does; each write may be the last thing, or just not be done. */
  left: number;
  /** Whether who called makes the call again. */
  patient: boolean;
  /** It does not survive its next start for longer than this. */
  again?: number;
}

/** Where it died, and how often. */
export const deaths = new Map<string, number>();

export function same(actual: string, expected: string, what: string): void {
  if (actual === expected) return;
  const [is, should] = [actual.split('\n'), expected.split('\n')];
  const lines = [
    ...should.filter((line) => !is.includes(line)).map((line) => `- ${line}`),
    ...is.filter((line) => !should.includes(line)).map((line) => `+ ${line}`),
  ];
  throw new Error(`${what}:\n${lines.join('\n')}`);
}

/** A host with an engine, with strangers that must come to no harm, and with a daemon that may die at every step. */
export class Playground extends World {
  readonly engine = new Engine();
  /** Links that are none of ours: `NETNS NAME`. */
  readonly strangers = new Set<string>();
  serial = 0;
  /** How many durable ones there were. */
  writes = 0;
  /** Milliseconds since 1970. */
  now = 0;
  /** How many operations the daemon asked of the kernel. */
  asked = 0;
  doom: Doom | undefined;
  /** What the daemon is about. */
  phase: 'a verb' | 'an undo' | 'a full pass' = 'a verb';
  /** What the kernel is going to refuse the daemon. */
  refusal: FailAt | undefined;

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

  target(n: number): AttachTarget {
    const path = of(
      PATHS.filter((each) => this.kernel.netnsId(each)),
      n,
    );
    const pid = PATHS.indexOf(path);
    const container = { id: hex(0xc0 + pid), name: `c${pid}` };
    // The last is a namespace without a container.
    return { path, id: this.kernel.netnsId(path)!, container: pid === 3 ? undefined : container };
  }

  async verb(changes: readonly Change[], touched: Touched = {}): Promise<void> {
    // It costs as much as all the rest.
    const before = this.writes % 4 === 0 ? digest(this.state) : undefined;
    if (before !== undefined) {
      const undo = this.state.inverse(changes);
      this.state.apply(changes);
      this.state.apply(undo);
      same(digest(this.state), before, 'inverse() undoes exactly');
    }
    this.phase = 'a verb';
    try {
      await this.carryOut(changes, touched);
    } catch (error) {
      if (before !== undefined && error instanceof Refused)
        same(digest(this.state), before, 'what the kernel refused has changed nothing');
      throw error;
    }
  }

  override commit(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    this.#live('before a write');
    super.commit(changes);
    this.writes++;
    this.#live('after a write');
  }

  override async apply(batches: readonly (readonly Op[])[]): Promise<Applied[]> {
    const applied = await this.#refusing(() => (this.doom ? this.#applyWhileAlive(batches) : super.apply(batches)));
    if (this.phase === 'a verb' && applied.some(({ failed }) => failed)) this.phase = 'an undo';
    return applied;
  }

  /** Only the daemon is refused things, whatever else goes on meanwhile. */
  async #refusing<T>(work: () => Promise<T>): Promise<T> {
    const begun = this.kernel.performed;
    this.kernel.failAt(this.refusal);
    try {
      return await work();
    } finally {
      this.kernel.failAt(undefined);
      const { code, after = 0 } = this.refusal ?? {};
      this.asked += this.kernel.performed - begun;
      const left = after - (this.kernel.performed - begun);
      this.refusal = code === undefined || left < 0 ? undefined : { code, after: left };
    }
  }

  async #applyWhileAlive(batches: readonly (readonly Op[])[]): Promise<Applied[]> {
    const all: Applied[] = [];
    for (const batch of batches) {
      let applied: Applied = { done: 0 };
      for (const [index, op] of batch.entries()) {
        this.#live('among the operations');
        const [{ failed } = {}] = await super.apply([[op]]);
        applied = failed ? { done: index, failed: { ...failed, index } } : { done: index + 1 };
        if (failed) break;
      }
      all.push(applied);
    }
    return all;
  }

  #live(place: string): void {
    if (!this.doom || this.doom.left-- > 0) return;
    const at = `${this.phase}, ${place}`;
    deaths.set(at, (deaths.get(at) ?? 0) + 1);
    throw new Crash(at);
  }
}
