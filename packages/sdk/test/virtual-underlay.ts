import { echoOf, parse } from '../src/underlay/message.ts';
import { type UnderlayPaths, underlayPaths } from '../src/underlay/paths.ts';
import type { Timing } from '../src/underlay/timing.ts';
import { headersTo, type Wire } from '../src/underlay/wire.ts';

/** Numbers that look random, the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A direction between two hosts. */
export interface Way {
  mtu: number;
  /** 0 to 1. */
  loss: number;
  delayMs: number;
}

interface Event {
  at: number;
  work: () => void;
}

/** Hosts on a network that is a value, in a time that is as fast as it can be. */
export class VirtualUnderlay {
  /** What left a host. */
  sent = 0;
  now = 0;
  readonly #random: () => number;
  readonly #events: Event[] = [];
  readonly #hosts = new Map<string, { hear: (message: Buffer, from: string) => void; linkMtu: number }>();
  readonly #ways = new Map<string, Way>();

  constructor(seed = 1) {
    this.#random = randomFrom(seed);
  }

  host(address: string, linkMtu = 9000): UnderlayPaths {
    const entry = { linkMtu, hear: (_message: Buffer, _from: string): void => undefined };
    this.#hosts.set(address, entry);
    const wire: Wire = {
      send: (message, to, refused) => this.send(address, to, message, refused),
      listen: (hear) => {
        entry.hear = hear;
      },
      close: () => this.#hosts.delete(address),
    };
    return underlayPaths({ local: [address], log: () => undefined, wire, timing: this.timing() });
  }

  /** Somebody who answers everybody, and does nothing else. */
  echoer(address: string): void {
    const hear = (message: Buffer, from: string) => {
      const probe = parse(message);
      if (probe && !probe.isEcho) this.send(address, from, echoOf(probe.nonce));
    };
    this.#hosts.set(address, { linkMtu: 9000, hear });
  }

  way(from: string, to: string): Way {
    const key = `${from} ${to}`;
    const way = this.#ways.get(key) ?? { mtu: 9000, loss: 0, delayMs: 0.3 };
    this.#ways.set(key, way);
    return way;
  }

  /** Both directions. */
  set(a: string, b: string, way: Partial<Way>): void {
    Object.assign(this.way(a, b), way);
    Object.assign(this.way(b, a), way);
  }

  setLink(address: string, mtu: number): void {
    this.#hosts.get(address)!.linkMtu = mtu;
  }

  /** Until so much later. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (let next = this.#earliest(end); next; next = this.#earliest(end)) {
      this.now = next.at;
      next.work();
    }
    this.now = end;
  }

  /** How long until it holds; the limit where it does not. */
  until(holds: () => boolean, limitMs: number): number {
    const begun = this.now;
    while (!holds() && this.now - begun < limitMs) this.pass(20);
    return this.now - begun;
  }

  send(from: string, to: string, message: Buffer, refused: () => void = () => undefined): void {
    const size = message.length + headersTo(to);
    const way = this.way(from, to);
    if (size > (this.#hosts.get(from)?.linkMtu ?? 9000)) {
      this.#later(0, refused);
      return;
    }
    this.sent++;
    if (size > way.mtu || this.#random() < way.loss) return;
    this.#later(way.delayMs, () => this.#hosts.get(to)?.hear(message, from));
  }

  timing(): Timing {
    return {
      now: () => this.now,
      random: this.#random,
      after: (ms, work) => this.#later(ms, work),
    };
  }

  #later(ms: number, work: () => void): () => void {
    const event = { at: this.now + ms, work };
    const index = this.#events.findLastIndex(({ at }) => at <= event.at);
    this.#events.splice(index + 1, 0, event);
    return () => {
      const found = this.#events.indexOf(event);
      if (found >= 0) this.#events.splice(found, 1);
    };
  }

  #earliest(end: number): Event | undefined {
    return this.#events[0] && this.#events[0].at <= end ? this.#events.shift() : undefined;
  }
}
