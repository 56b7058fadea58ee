import { PathRecord } from './record.ts';
import { Round } from './round.ts';
import { MOST_MTU, plateausAbove, Search } from './search.ts';
import type { PathContext } from './timing.ts';

export type PathState = 'probing' | 'reachable' | 'unreachable';

/** So many are not answered: nobody is there. */
const ATTEMPTS = 4;
/** To who probes us, not sooner. */
const AGAIN_MS = 1000;
const GROW_MS = 22_000;
const BACK_OFF_MS = [1000, 1000, 1000, 1000, 2000, 4000, 8000, 16_000, 30_000];

/** What is known of one underlay path, and what is tried next. */
export class Path {
  state: PathState = 'probing';
  /** The largest packet that arrives whole. Undefined: less than 1280 bytes, or not known yet. */
  mtu: number | undefined;
  readonly record = new PathRecord();
  readonly #context: PathContext;
  #cancel: () => void = () => undefined;
  #round: Round | undefined;
  #search: Search | undefined;
  /** Of small packets, or of the regular one: whether the last arrived. */
  #answered = false;
  #attempts = 0;
  #triedAt = Number.NEGATIVE_INFINITY;
  #growAt = 0;
  #closed = false;

  constructor(context: PathContext, delayMs: number) {
    this.#context = context;
    this.#cancel = context.after(delayMs, () => this.#seek());
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  /** `counts`: whether its loss is the path's, as it is not too large. */
  #send(size: number | undefined, counts: boolean, refused: () => void = () => undefined): void {
    const note = counts ? this.record.sent() : () => undefined;
    const answered = (rttMs: number) => {
      note(rttMs);
      this.#arrived(size);
    };
    this.#context.send(size, { answered, refused });
  }

  #arrived(size: number | undefined): void {
    if (this.#closed) return;
    this.record.arrived();
    this.#answered = true;
    if (this.state !== 'reachable') this.#begin();
    else if (size !== undefined) {
      this.#search?.arrived(size);
      this.#round?.arrive(size);
    }
  }

  /** The other one probes us: one direction works, so perhaps both do again. */
  heard(): void {
    if (this.state === 'reachable') return;
    const since = this.#context.now() - this.#triedAt;
    this.#later(Math.max(0, AGAIN_MS - since), () => this.#seek());
  }

  #later(ms: number, work: () => void): void {
    this.#cancel();
    this.#cancel = this.#context.after(ms, work);
  }

  /** Small packets, ever more rarely, until one is answered. */
  #seek(): void {
    if (this.#attempts === ATTEMPTS && this.state === 'probing') this.#become('unreachable');
    const wait = BACK_OFF_MS[Math.min(this.#attempts++, BACK_OFF_MS.length - 1)]!;
    this.#triedAt = this.#context.now();
    this.#answered = false;
    this.#send(undefined, true);
    this.#later(this.#jittered(wait), () => this.#seek());
  }

  #begin(): void {
    this.record.begin();
    this.#attempts = 0;
    this.#become('reachable');
    if (this.mtu === undefined) this.#find(new Search());
    else this.#grow(this.mtu);
  }

  #become(state: PathState): void {
    this.state = state;
    this.#context.changed();
  }

  /** Tries sizes until it is known which of them arrive. */
  #try(sizes: readonly number[], then: (round: Round) => void): void {
    const round = new Round(sizes, this.record.tries);
    this.#round = round;
    const turn = () => {
      this.#answered = false;
      this.#send(undefined, true);
      for (const size of [...round.open].sort((a, b) => a - b)) this.#send(size, false, () => round.refuse(size));
      this.#later(this.record.waitMs, () => {
        if (this.#answered) round.witness();
        else this.record.missed(this.#context.now());
        if (this.record.isSilent(this.#context.now())) return this.#lose();
        if (!round.isOver || !(this.#answered || round.arrived !== undefined)) return turn();
        this.#round = undefined;
        then(round);
      });
    };
    turn();
  }

  #find(search: Search): void {
    const sizes = search.next();
    this.#search = sizes.length > 0 ? search : undefined;
    if (sizes.length === 0) this.#settle(search.found);
    else
      this.#try(sizes, (round) => {
        if (round.arrived !== undefined) search.arrived(round.arrived);
        if (round.refused !== undefined) search.refused(round.refused);
        this.#find(search);
      });
  }

  #settle(mtu: number | undefined): void {
    this.#growAt = this.#nextGrowth();
    if (mtu !== this.mtu) {
      this.mtu = mtu;
      this.#context.changed();
    }
    this.#rest();
  }

  #rest(): void {
    const ms = this.#jittered(this.#context.beatMs());
    this.#later(ms, () => {
      if (this.#context.now() < this.#growAt) this.#beat();
      else if (this.mtu === undefined) this.#find(new Search());
      else this.#grow(this.mtu);
    });
  }

  /** One packet of the size that is known to arrive: when it does not, that is looked into. */
  #beat(): void {
    const { mtu } = this;
    this.#answered = false;
    let isRefused = false;
    this.#send(mtu, true, () => {
      isRefused = true;
    });
    this.#later(this.record.waitMs, () => {
      if (this.#answered) return this.#rest();
      if (isRefused) return this.#find(new Search(undefined, mtu));
      this.record.missed(this.#context.now());
      this.#try(mtu === undefined ? [] : [mtu], (round) => {
        if (mtu === undefined || round.arrived !== undefined) this.#rest();
        else this.#shrink(mtu);
      });
    });
  }

  /** It is tried once more itself: it may have been bad luck. */
  #shrink(mtu: number): void {
    this.#find(new Search(undefined, mtu + 1));
  }

  #grow(mtu: number): void {
    this.#growAt = this.#nextGrowth();
    const sizes = [mtu, mtu + 8, ...plateausAbove(mtu)].filter((size) => size <= MOST_MTU);
    this.#try(sizes, (round) => {
      if (round.arrived === undefined) this.#shrink(mtu);
      else if (round.arrived > mtu) this.#find(new Search(round.arrived, round.refused));
      else this.#rest();
    });
  }

  #nextGrowth(): number {
    return this.#context.now() + this.#jittered(Math.max(GROW_MS, 5 * this.#context.beatMs()));
  }

  /** What was found out stays: it is tried first when there is a way again. */
  #lose(): void {
    this.#round = undefined;
    this.#search = undefined;
    this.#attempts = 0;
    this.#become('unreachable');
    this.#seek();
  }

  #jittered(ms: number): number {
    return ms * (0.8 + 0.4 * this.#context.random());
  }
}
