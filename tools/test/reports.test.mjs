import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCargo, readNodeTest } from '../reports/output-report.mjs';
import { readTap } from '../reports/tap-report.mjs';

test('TAP: only leaves count, wherever they are', () => {
  const report = readTap(`TAP version 14
# Subtest: test/a.test.ts
    ok 1 - a leaf of the file
    # Subtest: group
        ok 1 - deep
        not ok 2 - deep and wrong
          ---
          diff: |
            ok 3 - this is a diagnostic
          ...
        1..2
    not ok 2 - group # time=5ms
    1..2
not ok 1 - test/a.test.ts # time=7ms
# Subtest: test/b.test.ts
    ok 1 - fine
    # seen: 3 kills
    ok 2 - later # TODO not yet
    ok 3 - elsewhere # SKIP needs root
    1..3
ok 2 - test/b.test.ts # time=2ms
1..2
`);
  assert.deepEqual(
    { passed: report.passed, failed: report.failed, skipped: report.skipped },
    { passed: 3, failed: 1, skipped: 2 },
  );
  assert.deepEqual(report.failures, ['test/a.test.ts > group > deep and wrong']);
  assert.deepEqual(report.seen, ['3 kills']);
  assert.deepEqual(
    [...report.files],
    [
      ['test/a.test.ts', 3],
      ['test/b.test.ts', 3],
    ],
  );
});

test('TAP: a file that dies or says nothing is seen', () => {
  const report = readTap(`# Subtest: test/dies.test.ts
    ok 1 - before
    1..1
not ok 1 - test/dies.test.ts # time=1ms
  ---
  exitCode: 1
  ...
# Subtest: test/empty.test.ts
    1..0 # no tests found
ok 2 - test/empty.test.ts # time=1ms
`);
  assert.equal(report.passed, 1);
  assert.deepEqual(report.failures, ['test/dies.test.ts']);
  assert.equal(report.files.get('test/empty.test.ts'), 0);
});

test('cargo: the programs are added up', () => {
  const report = readCargo(`running 2 tests
test a ... ok
test mod::b ... FAILED

test result: FAILED. 1 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
`);
  assert.deepEqual(report, { passed: 6, failed: 1, skipped: 3, failures: ['mod::b'], runs: 2 });
});

test('node --test: both of its reporters are read', () => {
  const spec = '✖ breaks (1.2ms)\nℹ tests 3\nℹ suites 0\nℹ pass 2\nℹ fail 1\nℹ cancelled 0\nℹ skipped 0\nℹ todo 0\n';
  const tap = 'not ok 1 - breaks\n# tests 3\n# suites 0\n# pass 2\n# fail 1\n# cancelled 0\n# skipped 0\n# todo 0\n';
  for (const output of [spec, tap]) {
    assert.deepEqual(readNodeTest(output), { passed: 2, failed: 1, skipped: 0, failures: ['breaks'], runs: 1 });
  }
});
