/** Sizes that are tried together, and beside them a small packet each time: what is lost while that arrives is too large. */
export class Round {
  /** Neither arrived nor refused yet. */
  readonly open: Set<number>;
  readonly #tries: number;
  readonly #refused: number[] = [];
  #arrived: number | undefined;
  #witnessed = 0;

  constructor(sizes: readonly number[], tries: number) {
    this.open = new Set(sizes);
    this.#tries = tries;
  }

  get arrived(): number | undefined {
    return this.#arrived;
  }

  /** The least that does not get through. */
  get refused(): number | undefined {
    const larger = [...this.#refused, ...this.open].filter((size) => size > (this.#arrived ?? 0));
    return larger.length > 0 ? Math.min(...larger) : undefined;
  }

  arrive(size: number): void {
    this.#arrived = Math.max(size, this.#arrived ?? 0);
    for (const each of this.open) if (each <= size) this.open.delete(each);
  }

  /** Our own link does not take it: no need to try. */
  refuse(size: number): void {
    this.#refused.push(size);
    for (const each of this.open) if (each >= size) this.open.delete(each);
  }

  /** A small packet arrived, and what is open did not. */
  witness(): void {
    this.#witnessed++;
  }

  get isOver(): boolean {
    return this.open.size === 0 || this.#witnessed >= this.#tries;
  }
}
