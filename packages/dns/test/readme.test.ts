import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';

const here = fileURLToPath(new URL('.', import.meta.url));
const readme = readFileSync(join(here, '../README.md'), 'utf8');
const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;

test('the example of the README does what it says', async (t) => {
  const file = join(here, `.readme-example-${process.pid}.ts`);
  // A namespace that is there, instead of the switch.
  writeFileSync(file, example.replaceAll('/run/weave/netns', '/proc/self/ns/net'));
  t.teardown(() => rmSync(file));
  const args = ['--net', process.execPath, '--conditions=@weave/source', file];
  const printed = execFileSync('unshare', args, { encoding: 'utf8' });
  t.equal(printed, "[ '10.32.0.1', 'fd00:1::1' ] []\n");
});
