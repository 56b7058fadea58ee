import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

const root = join(import.meta.dirname, '../../..');
const table = readFileSync(join(root, 'packages/cli/PARITY.md'), 'utf8');

/** `file.test.ts` "title", "title" and "title": where each is said to be. */
function* claims(): Generator<[file: string, titles: string[]]> {
  for (const [, file, said] of table.matchAll(/`([\w/-]+\.test\.ts)`((?:(?:,| and)? ?\n?"[^"]+")*)/g))
    yield [file!, [...said!.matchAll(/"([^"]+)"/g)].map(([, title]) => title!)];
}

const sourceOf = (file: string) =>
  readFileSync(join(root, file.startsWith('packages/') ? file : `packages/e2e/test/${file}`), 'utf8');

test('every test that PARITY names is there', async (t) => {
  let titles = 0;
  for (const [file, named] of claims()) {
    const tests = sourceOf(file).match(/test\((['"`]).*?\1/g) ?? [];
    for (const title of named) {
      titles++;
      t.ok(
        tests.some((each) => each.includes(title)),
        `${file}: ${title}`,
      );
    }
  }
  t.ok(titles > 30, 'there are many', { titles });
});
