// Runs the README's example as it stands, on a tmpfs for /run. In namespaces of its own, see package.json.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('the example in README.md runs', () => {
  const [, example] = readFileSync(new URL('../README.md', import.meta.url), 'utf8').match(/```js\n(.*?)```/s);
  execFileSync('mount', ['-t', 'tmpfs', 'weave-test', '/run']);
  try {
    const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', example], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      encoding: 'utf8',
      timeout: 10_000,
    });
    assert.match(printed, /^[0-9a-f]{8}:\d+ ethwe 10\.32\.0\.2\/16\n$/);
  } finally {
    execFileSync('umount', ['/run']);
  }
});
