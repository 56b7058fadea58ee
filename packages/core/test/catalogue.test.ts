import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { asWeaveError, CATALOGUE, type Code, FACES, fail, isWeaveError, type Kind, WeaveError } from '@weave/core';
import t from 'tap';

const packages = new URL('../../', import.meta.url).pathname;

/** Every source file of every package. */
function sources(): { file: string; text: string }[] {
  const named = readdirSync(packages).filter((name) => existsSync(join(packages, name, 'src')));
  return named.flatMap((name) => {
    const folder = join(packages, name, 'src');
    const files = readdirSync(folder, { recursive: true }).map(String);
    return files
      .filter((file) => file.endsWith('.ts'))
      .map((file) => ({ file: `${name}/src/${file}`, text: readFileSync(join(folder, file), 'utf8') }));
  });
}

t.test('every error has what it takes', async (t) => {
  const kinds = new Set(Object.keys(FACES));
  for (const [code, [kind, hint]] of Object.entries(CATALOGUE)) {
    t.match(code, /^WEAVE_[A-Z]+(_[A-Z]+)*$/);
    t.ok(kinds.has(kind), `${code} is of a kind that every face knows`);
    t.ok(/^[A-Z].*\S$/.test(hint) && hint.length < 120, `${code} says what to do: ${hint}`);
  }
  for (const kind of kinds)
    t.ok(
      Object.values(CATALOGUE).some(([each]) => each === kind),
      `${kind} is the kind of some error`,
    );
});

t.test('every kind has its place on every face', async (t) => {
  const rows = Object.entries(FACES) as [Kind, (typeof FACES)[Kind]][];
  const exits = rows.map(([, { exit }]) => exit);
  t.equal(new Set(exits).size, exits.length, 'exit codes tell kinds apart');
  for (const [kind, { http, cni, exit }] of rows) {
    t.ok(exit > 1 && exit < 126, `${kind}: exit code ${exit} is neither a crash’s nor the shell’s`);
    t.ok([400, 500].includes(http), `${kind}: HTTP ${http}`);
    t.ok(cni > 0 && cni < 1000, `${kind}: CNI ${cni}`);
  }
});

t.test('the sources use the catalogue, and all of it', async (t) => {
  const used = new Map<string, string>();
  for (const { file, text } of sources()) {
    if (file === 'core/src/errors.ts') continue;
    for (const [literal] of text.matchAll(/(?<=['"`])WEAVE_[A-Z_]+(?=['"`])/g)) used.set(literal, file);
    for (const [, literal] of text.matchAll(/(?:fail|WeaveError)\(\s*'(\w+)'/g))
      t.ok(literal! in CATALOGUE, `${literal} of ${file} is in the catalogue`);
  }
  /** Used where no literal shows it: made in `errors.ts` itself. */
  const elsewhere: Code[] = ['WEAVE_BUG'];
  for (const code of Object.keys(CATALOGUE))
    t.ok(used.has(code) || elsewhere.includes(code as Code), `${code} is used somewhere`);
});

t.test('an error', async (t) => {
  const error = new WeaveError('WEAVE_NETWORK_NOT_FOUND', 'there is no network blue');
  t.strictSame(error.toJSON(), {
    code: 'WEAVE_NETWORK_NOT_FOUND',
    kind: 'not-found',
    message: 'there is no network blue',
    hint: 'List the networks with: weave network ls',
  });
  t.equal(error.name, 'WeaveError');
  t.ok(error instanceof Error && isWeaveError(error));
  t.equal(asWeaveError(error), error);
  t.equal(new WeaveError('WEAVE_BUG', 'x', { hint: 'Try again.' }).hint, 'Try again.');
  const cause = new Error('disk full');
  t.equal(new WeaveError('WEAVE_STORE_FAILED', 'x', { cause }).cause, cause);
  t.notOk('cause' in error);
  for (const foreign of [cause, 'disk full', undefined, null, 42, { code: 'WEAVE_BUG' }]) {
    const ours = asWeaveError(foreign);
    t.match(ours, { code: 'WEAVE_BUG', kind: 'bug', cause: foreign });
    t.notOk(isWeaveError(foreign));
  }
  t.equal(asWeaveError(cause).message, 'disk full');
  const full = Object.assign(new Error('spawn nft EMFILE'), { code: 'EMFILE' });
  t.match(asWeaveError(full), { code: 'WEAVE_TOO_MANY_FILES', message: 'spawn nft EMFILE', cause: full });
  t.throws(() => fail('WEAVE_INVALID_NAME', 'no'), { code: 'WEAVE_INVALID_NAME', kind: 'invalid' });
  t.ok(isWeaveError({ [Symbol.for('weave.error')]: true }), 'of another copy of the package too');
});

t.test('the example of the README runs, and prints what it says', async (t) => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [, example] = /```ts\n(.*?)```/s.exec(readme) ?? [];
  const [, output] = /```text\n(.*?)```/s.exec(readme) ?? [];
  const folder = t.testdir({ 'example.ts': example! });
  const printed = t.capture(console, 'log');
  await import(pathToFileURL(join(folder, 'example.ts')).href);
  const lines = printed().map(({ args }) => `${args.join(' ')}\n`);
  t.equal(lines.join('').trim(), output?.trim());
});
