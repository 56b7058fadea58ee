import { LEAST_MTU } from '@weave/core';

/** What paths usually have, so that most searches end with the first round. */
const PLATEAUS = [9000, 8500, 4352, 1500, 1492, 1480, 1472, 1460, 1450, 1430, 1420, 1400, 1380, 1350, 1320, 1280];
export const MOST_MTU = 9000;
/** How many sizes are tried at once between two that are known. */
const AT_ONCE = 8;

export const plateausAbove = (mtu: number): number[] => PLATEAUS.filter((size) => size > mtu);

/** Closes in on the largest packet that a path takes, by what arrived and what did not. */
export class Search {
  #arrived: number;
  #refused: number;

  /** From the largest that is known to arrive, and the least that is known not to. */
  constructor(arrived = LEAST_MTU - 1, refused = MOST_MTU + 1) {
    this.#arrived = arrived;
    this.#refused = refused;
  }

  /** What to try next; nothing once it is found. */
  next(): number[] {
    const between = PLATEAUS.filter((size) => size > this.#arrived && size < this.#refused);
    if (between.length > 0) return between;
    const step = (this.#refused - this.#arrived) / (AT_ONCE + 1);
    const sizes = Array.from({ length: AT_ONCE }, (_, n) => Math.round(this.#arrived + step * (n + 1)));
    return [...new Set(sizes)].filter((size) => size > this.#arrived && size < this.#refused);
  }

  /** It may be late: what arrives is no matter of opinion. */
  arrived(size: number): void {
    this.#arrived = Math.max(this.#arrived, size);
    if (size >= this.#refused) this.#refused = MOST_MTU + 1;
  }

  refused(size: number): void {
    if (size > this.#arrived) this.#refused = Math.min(this.#refused, size);
  }

  /** Undefined when not even the least arrives. */
  get found(): number | undefined {
    return this.#arrived < LEAST_MTU ? undefined : this.#arrived;
  }
}
