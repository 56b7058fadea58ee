import { PathRecord } from './record.ts';
import { Round } from './round.ts';
import { MOST_MTU, plateausAbove, Search } from './search.ts';
import type { PathContext } from './timing.ts';

export type PathState = 'probing' | 'reachable' | 'unreachable';

/** So many are not answered: nobody is there. */
const ATTEMPTS = 4;
/** Not sooner, at first, and to whoever probes us. */
const AGAIN_MS = 1000;
const GROW_MS = 22_000;
const MOST_WAIT_MS = 30_000;

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
  /** Whether nothing but the regular probe is awaited. */
  #beating = false;
  #attempts = 0;
  #triedAt = Number.NEGATIVE_INFINITY;
  #growAt = 0;
  /** The least that our own link refused. */
  #ceiling = MOST_MTU;
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
    else if (this.#beating) this.#rest();
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
    this.#beating = false;
    this.#cancel = this.#context.after(ms, work);
  }

  /** Small packets, ever more rarely, until one is answered. */
  #seek(): void {
    if (this.#attempts === ATTEMPTS && this.state === 'probing') this.#become('unreachable');
    const wait = Math.min(MOST_WAIT_MS, AGAIN_MS * 2 ** Math.max(0, this.#attempts++ - ATTEMPTS));
    this.#triedAt = this.#context.now();
    this.#answered = false;
    this.#send(undefined, true);
    this.#later(this.#context.jittered(wait), () => this.#seek());
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
      for (const size of round.open) this.#send(size, false, () => this.#refused(round, size));
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

  #refused(round: Round, size: number): void {
    this.#ceiling = Math.min(this.#ceiling, size);
    round.refuse(size);
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
    if (mtu !== this.mtu) {
      this.mtu = mtu;
      this.#context.changed();
    }
    this.#rest();
  }

  #rest(): void {
    this.#later(this.#context.aligned(this.#context.jittered(this.#context.beatMs())), () => {
      const now = this.#context.now();
      if (now < this.#growAt) return this.#beat();
      this.#growAt = now + this.#context.jittered(Math.max(GROW_MS, 5 * this.#context.beatMs()));
      if (this.mtu === undefined) this.#find(new Search());
      else this.#grow(this.mtu);
    });
  }

  /** One packet of the size that is known to arrive: when it does not, that is looked into. */
  #beat(): void {
    const { mtu } = this;
    this.#later(this.record.waitMs, () => {
      this.#beating = false;
      this.record.missed(this.#context.now());
      this.#try(mtu === undefined ? [] : [mtu], (round) => {
        if (mtu === undefined || round.arrived !== undefined) this.#rest();
        else this.#shrink(mtu);
      });
    });
    this.#beating = true;
    this.#send(mtu, true, () => {
      if (this.#beating) this.#find(new Search(undefined, mtu));
    });
  }

  /** It is tried once more itself: it may have been bad luck. */
  #shrink(mtu: number): void {
    this.#find(new Search(undefined, mtu + 1));
  }

  #grow(mtu: number): void {
    const sizes = [mtu, mtu + 8, ...plateausAbove(mtu)].filter((size) => size <= Math.min(this.#ceiling, MOST_MTU));
    // It says so again if it is still so.
    this.#ceiling = MOST_MTU;
    this.#try(sizes, (round) => {
      if (round.arrived === undefined) this.#shrink(mtu);
      else if (round.arrived > mtu) this.#find(new Search(round.arrived, round.refused));
      else this.#rest();
    });
  }

  /** What was found out stays: it is tried first when there is a way again. */
  #lose(): void {
    this.#round = undefined;
    this.#search = undefined;
    this.#attempts = 0;
    this.#become('unreachable');
    this.#seek();
  }
}
