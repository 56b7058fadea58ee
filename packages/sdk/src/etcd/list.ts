import type { Entry } from '@weave/core';
import type { Connection } from './connection.ts';
import { isCompacted } from './failure.ts';
import { type KeyValue, METHODS, under } from './messages.ts';

/** Keys of one answer: of the size that keys of ours have, well below what etcd and its other clients notice. */
const PAGE = 1000;

export interface Listed {
  entries: Entry[];
  revision: number;
}

/** Everything under a prefix, as of one revision; without the root that all of our keys have in etcd. */
export async function listAll(connection: Connection, root: string, prefix: string): Promise<Listed> {
  try {
    return await listPages(connection, root, prefix);
  } catch (error) {
    // It took too long: the revision of its first page has been compacted.
    if (isCompacted(error)) return listAll(connection, root, prefix);
    throw error;
  }
}

async function listPages(connection: Connection, root: string, prefix: string): Promise<Listed> {
  const entries: Entry[] = [];
  const range = under(root + prefix);
  let revision = 0;
  for (;;) {
    const page = await connection.ask(METHODS.range, { ...range, limit: PAGE, revision });
    revision ||= page.header!.revision;
    for (const each of page.kvs) entries.push(entryOf(each, root));
    if (!page.more) return { entries, revision };
    range.key = `${page.kvs.at(-1)!.key}\0`;
  }
}

export const entryOf = ({ key, value, modRevision }: KeyValue, root: string): Entry => ({
  key: key.slice(root.length),
  value,
  revision: modRevision,
});
