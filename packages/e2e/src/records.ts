import type { Change } from '@weave/core';
import type { Host } from './host.ts';

/** On the host itself: SQLite resolves the links that lead there from outside by their text. */
const script = (work: string) => [
  process.execPath,
  '--eval',
  `const { readFileSync } = require('node:fs');
  const { DatabaseSync } = require('node:sqlite');
  const db = new DatabaseSync('/var/lib/weave/weave.db');
  ${work}
  db.close();`,
];

/** What a host has stored; while its daemon does not run. */
export async function recordsOf(host: Host): Promise<Change[]> {
  const read = 'console.log(JSON.stringify(db.prepare("SELECT kind, id, value FROM record").all()))';
  const rows = (await host.json(script(read))) as { kind: string; id: string; value: string }[];
  return rows.map(({ kind, id, value }) => ({ table: kind, id, record: JSON.parse(value) }) as Change);
}

/** As if others had told it; while its daemon does not run. */
export async function learn(host: Host, changes: readonly Change[]): Promise<void> {
  const write = `const put = db.prepare('INSERT OR REPLACE INTO record (kind, id, value) VALUES (?, ?, ?)');
    for (const { table, id, record } of JSON.parse(readFileSync(0))) put.run(table, id, JSON.stringify(record));`;
  await host.exec(script(write), { stdin: JSON.stringify(changes) });
}

/** What a host would tell the others: of itself, and of its endpoints what is not its own business. */
export async function told(host: Host, underlay: string): Promise<Change[]> {
  const records = await recordsOf(host);
  const self = records.find(({ table }) => table === 'self')!.record as { peer: string };
  return records.flatMap((change): Change[] => {
    if (change.table === 'peer' && change.id === self.peer)
      return [{ ...change, record: { id: self.peer, name: host.name, underlay } }];
    if (change.table !== 'endpoint' || change.record?.peer !== self.peer) return [];
    const { sandbox: _, ...record } = change.record;
    return [{ ...change, record }];
  });
}
