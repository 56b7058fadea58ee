import { type Change, isSame, keys, type Name, type News, nameId } from '@weave/core';
import { type Context, chunks, commitAsMember, followAsMember, learn } from './context.ts';
import { nameInEntry } from './entries.ts';
import { createFlush } from './flush.ts';

/** Names that were given by hand: this host's are told to the others, and theirs are learned. */
export function createNames(context: Context) {
  const { state } = context.host;
  const flush = createFlush(context, 'names', write);
  let endFollowing: () => void = () => undefined;
  let dirty = false;

  const isOwn = ({ peer }: Name) => peer === state.self;

  async function write(): Promise<void> {
    while (dirty && context.reachable && context.fence > 0) {
      dirty = false;
      await compare().catch((error: unknown) => {
        dirty = true;
        throw error;
      });
    }
  }

  /** There are few: all are compared. */
  async function compare(): Promise<void> {
    const { entries } = await context.directory.list(keys.names(state.self));
    const there = new Map(entries.map(({ key, value }) => [key, value]));
    const wanted = new Map(
      [...state.names.values()].filter(isOwn).map((name) => [keys.name(name), JSON.stringify(name)]),
    );
    const gone = [...there.keys()].filter((key) => !wanted.has(key)).map((key) => ({ key, value: null }));
    const put = [...wanted].filter(([key, value]) => there.get(key) !== value).map(([key, value]) => ({ key, value }));
    for (const part of chunks([...gone, ...put])) await commitAsMember(context, [], part);
  }

  function hear(news: News): void {
    const told = news.entries.flatMap((entry) => nameInEntry(entry) ?? []).filter((name) => !isOwn(name));
    const ids = new Set(told.map(nameId));
    const left = [...state.names].filter(([id, name]) => !isOwn(name) && !ids.has(id)).map(([id]) => id);
    const gone = news.kind === 'all' ? left : left.filter((id) => news.gone.includes(keys.allNames + id));
    const changes: Change[] = [
      ...gone.map((id): Change => ({ table: 'name', id, record: null })),
      ...told
        .filter((record) => !isSame(state.names.get(nameId(record)), record))
        .map((record): Change => ({ table: 'name', id: nameId(record), record })),
    ];
    if (changes.length > 0) void learn(context, { changes });
  }

  return {
    note(changes: readonly Change[]): void {
      if (!changes.some(({ table, id }) => table === 'name' && id.startsWith(`${state.self}/`))) return;
      dirty = true;
      flush.now();
    },
    /** Compares what is there with what is here, and writes what differs. */
    async resync(): Promise<void> {
      dirty = true;
      flush.now();
      await flush.idle();
    },
    follow(): void {
      endFollowing();
      endFollowing = followAsMember(context, keys.allNames, hear);
    },
    end(): void {
      endFollowing();
      flush.end();
    },
  };
}

export type Names = ReturnType<typeof createNames>;
