import { fail } from './errors.ts';
import { TRANSACTION_CHARACTERS, TRANSACTION_ROOM } from './model.ts';
import type { Transaction, Write } from './ports.ts';

/** Throws WEAVE_BUG for what no directory can do in one transaction, so that none depends on how large another's may be. */
export function mustFit({ when = [], writes }: Transaction): void {
  const count = when.length + writes.length;
  if (count > TRANSACTION_ROOM) refuse(`has ${count} conditions and writes; there is room for ${TRANSACTION_ROOM}`);
  const length = [...when, ...writes].reduce((sum, part) => sum + lengthOf(part), 0);
  if (length > TRANSACTION_CHARACTERS) refuse(`has ${length} characters; there is room for ${TRANSACTION_CHARACTERS}`);
  const twice = writtenTwice(writes);
  if (twice !== undefined) refuse(`writes ${twice} twice`);
}

const refuse = (why: string) => fail('WEAVE_BUG', `a transaction of the directory ${why}`);

const lengthOf = (part: object) =>
  Object.values(part).reduce((sum: number, text) => sum + (typeof text === 'string' ? text.length : 0), 0);

/** A key that is written and goes with a prefix is written twice too. */
function writtenTwice(writes: readonly Write[]): string | undefined {
  const keys = writes.flatMap((write) => ('key' in write ? [write.key] : []));
  const prefixes = writes.flatMap((write) => ('prefix' in write ? [write.prefix] : []));
  return (
    keys.find((key, index) => keys.indexOf(key) !== index) ??
    keys.find((key) => prefixes.some((prefix) => key.startsWith(prefix)))
  );
}
