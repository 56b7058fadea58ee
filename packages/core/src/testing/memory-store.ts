import { WeaveError } from '../errors.ts';
import type { Change } from '../model.ts';
import { TABLES } from '../model.ts';
import type { HostStore } from '../ports.ts';

export interface MemoryStore extends HostStore {
  /** The append that comes after this many fails, and changes nothing. */
  failAt(after: number | undefined): void;
  /** A second opener of the same records: refused while the first has them. */
  openAgain(): MemoryStore;
  /** The same records after a restart. */
  reopen(): MemoryStore;
}

/** A host store that keeps its records as text, as a real one does: what is not JSON is lost at once, not later. */
export function memoryStore(): MemoryStore {
  return storeOver(new Map(TABLES.map((table) => [table as string, new Map<string, string>()])));
}

function storeOver(tables: Map<string, Map<string, string>>): MemoryStore {
  let failAfter: number | undefined;
  let closed = false;

  function mustWork(): void {
    if (closed) throw new WeaveError('WEAVE_STORE_FAILED', 'cannot write the host store: it is closed');
    if (failAfter === undefined || failAfter-- > 0) return;
    failAfter = undefined;
    throw new WeaveError('WEAVE_STORE_FAILED', 'cannot write the host store: as the test wants it');
  }

  function openAgain(): MemoryStore {
    if (!closed) throw new WeaveError('WEAVE_STORE_LOCKED', 'the store in memory is in use by another weave daemon');
    return storeOver(tables);
  }

  return {
    load: () =>
      TABLES.flatMap((table) =>
        [...tables.get(table)!].map(([id, text]) => ({ table, id, record: JSON.parse(text) }) as Change),
      ),
    append(changes) {
      if (changes.length === 0) return;
      mustWork();
      const lines = changes.map(({ table, id, record }) => ({
        table: tables.get(table) ?? unknown(table),
        id,
        text: record && JSON.stringify(record),
      }));
      for (const { table, id, text } of lines)
        if (text === null) table.delete(id);
        else table.set(id, text);
    },
    erase() {
      for (const records of tables.values()) records.clear();
    },
    close: () => {
      closed = true;
    },
    failAt: (after) => {
      failAfter = after;
    },
    openAgain,
    reopen: () => {
      closed = true;
      return openAgain();
    },
  };
}

function unknown(table: string): never {
  throw new WeaveError('WEAVE_STORE_FAILED', `cannot write the host store: there is no table ${table}`);
}
