import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readCargo, readNodeTest } from './reports/output-report.mjs';
import { readTap } from './reports/tap-report.mjs';
import { checkout, workspacePackages } from './setup/checkout.mjs';
import { forNx } from './setup/environment.mjs';
import { run, say } from './setup/step.mjs';

const endToEnd = '@weave/e2e';
const shownOnFailure = 200;
const nothing = { passed: 0, failed: 0, skipped: 0 };

/** Runs every test there is, prints what each part counted, and last the sum. Answers whether all passed. */
export async function test(failedChecks) {
  const results = [];
  if (failedChecks.length > 0)
    results.push({ ...nothing, name: 'checks', failed: failedChecks.length, failures: failedChecks });
  say('testing tools');
  results.push(counted('tools', await shown(run(['node', '--test', 'tools/test/*.test.mjs'])), [readNodeTest]));
  say('testing native');
  results.push(counted('native', await nx('run', '@weave/native:test'), [readCargo, readNodeTest]));

  const packages = workspacePackages().filter(({ folder }) => testFiles(folder).length > 0 && folder !== 'native');
  for (const { folder } of packages) rmSync(report(folder), { force: true });
  say('testing packages');
  // tap makes its set of plugins into its own package on first use: two at once would make it over each other.
  await shown(run(['tap', 'build'], { cwd: join(checkout, 'packages/core') }));
  await nx('run-many', '--target=test', `--exclude=${endToEnd},@weave/native`, '--parallel=2');
  say('testing end to end');
  await nx('run', `${endToEnd}:test`);
  results.push(...packages.map(({ folder }) => reported(folder)));
  return conclude(results);
}

function nx(...args) {
  return shown(run(['nx', ...args, '--exclude-task-dependencies', '--output-style=static'], { env: forNx }));
}

/** What fails is shown where it fails; the names come again at the end. */
async function shown(running) {
  const result = await running;
  if (result.code !== 0) console.log(plain(result.output).trimEnd().split('\n').slice(-shownOnFailure).join('\n'));
  return result;
}

function counted(name, { code, output }, readers) {
  const counts = readers.map((read) => read(plain(output)));
  const result = {
    name,
    passed: sum(counts, 'passed'),
    failed: sum(counts, 'failed'),
    skipped: sum(counts, 'skipped'),
    failures: counts.flatMap(({ failures }) => failures),
  };
  if (code !== 0 && result.failed === 0) fail(result, `the test command exited with ${code}`);
  if (counts.some(({ runs }) => runs === 0)) fail(result, 'a test program reported nothing');
  return result;
}

function reported(folder) {
  const name = folder.replace('packages/', '');
  if (!existsSync(report(folder))) return fail({ ...nothing, name, failures: [] }, 'no report');
  const result = { name, ...readTap(readFileSync(report(folder), 'utf8')) };
  for (const file of testFiles(folder)) {
    if (!result.files.get(file)) fail(result, `${file} tested nothing`);
  }
  return result;
}

function conclude(results) {
  for (const { seen = [] } of results) if (seen.length > 0) console.log(`\n${seen.join('\n')}`);
  console.log();
  for (const { name, passed, failed, skipped, failures } of results) {
    console.log(`${name.padEnd(8)} ${passed} passed, ${failed} failed${skipped ? `, ${skipped} SKIPPED` : ''}`);
    for (const failure of failures) console.log(`         not ok: ${failure}`);
  }
  const passed = sum(results, 'passed');
  const failed = sum(results, 'failed');
  console.log(`\n${passed} passed, ${failed} failed`);
  return passed > 0 && failed === 0;
}

function fail(result, why) {
  result.failed += 1;
  result.failures.push(why);
  return result;
}

function testFiles(folder) {
  const tests = join(checkout, folder, 'test');
  if (!existsSync(tests)) return [];
  return readdirSync(tests, { recursive: true })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `test/${file}`);
}

function report(folder) {
  return join(checkout, folder, '.tap/report.tap');
}

function sum(counts, key) {
  return counts.reduce((total, count) => total + count[key], 0);
}

function plain(output) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the control character is what is removed
  return output.replace(/\u001b\[[\d;?]*[A-Za-z]/g, '').replace(/\r/g, '');
}
