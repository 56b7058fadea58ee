/** A chunk that is full becomes two. */
const FULL = 512;

/** Keys in their order. Adding, removing and finding cost O(log n), and moving no more than a chunk. */
export class SortedKeys {
  readonly #chunks: string[][] = [[]];

  add(key: string): void {
    const index = this.#chunkOf(key);
    const chunk = this.#chunks[index]!;
    const at = firstFrom(chunk.length, (i) => chunk[i]! >= key);
    if (chunk[at] === key) return;
    chunk.splice(at, 0, key);
    if (chunk.length > FULL) this.#chunks.splice(index + 1, 0, chunk.splice(FULL / 2));
  }

  delete(key: string): void {
    const index = this.#chunkOf(key);
    const chunk = this.#chunks[index]!;
    const at = firstFrom(chunk.length, (i) => chunk[i]! >= key);
    if (chunk[at] !== key) return;
    chunk.splice(at, 1);
    if (chunk.length === 0 && this.#chunks.length > 1) this.#chunks.splice(index, 1);
  }

  /** All that begin with a prefix. */
  *under(prefix: string): Generator<string> {
    const first = this.#chunkOf(prefix);
    for (let index = first; index < this.#chunks.length; index++) {
      const chunk = this.#chunks[index]!;
      for (let at = index > first ? 0 : firstFrom(chunk.length, (i) => chunk[i]! >= prefix); at < chunk.length; at++) {
        if (!chunk[at]!.startsWith(prefix)) return;
        yield chunk[at]!;
      }
    }
  }

  /** The last chunk that begins at or before a key: where it is, or belongs. */
  #chunkOf(key: string): number {
    return Math.max(0, firstFrom(this.#chunks.length, (i) => this.#chunks[i]![0]! > key) - 1);
  }
}

/** The first number below `end` for which something holds that holds for all after it; `end` when for none. */
function firstFrom(end: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, end];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
