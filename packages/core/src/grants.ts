import type { Change } from './model.ts';

type Given = 'pool' | 'lease';

/**
 * Numbers what an engine is given: so that whoever saw it a while ago can tell whether it is still that gift, or the
 * same pool or address given again. Each process counts anew.
 */
export class Grants {
  readonly #numbers = new Map<string, number>();
  #last = 0;

  note({ table, id, record }: Change): void {
    if (table !== 'pool' && table !== 'lease') return;
    const key = `${table} ${id}`;
    if (record === null) this.#numbers.delete(key);
    else this.#numbers.set(key, ++this.#last);
  }

  of(table: Given, id: string): string {
    const key = `${table} ${id}`;
    return `${key} ${this.#numbers.get(key)}`;
  }

  all(): string[] {
    return [...this.#numbers].map(([key, number]) => `${key} ${number}`);
  }
}
