import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';

const here = fileURLToPath(new URL('.', import.meta.url));
const readme = readFileSync(join(here, '../README.md'), 'utf8');
const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;

/** A process in a network namespace of its own. */
async function sleeper(): Promise<ChildProcess> {
  const child = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout!, 'data');
  return child;
}

/** The example as it stands, in a process with a network and mount namespace of its own: a host without a daemon. */
async function run(source: string, values: Record<string, string>) {
  const names = Object.entries(values).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};\n`);
  const file = join(here, `.readme-example-${process.pid}.ts`);
  writeFileSync(file, source.replace(/^(import .*\n)/, `$1${names.join('')}`));
  try {
    const args = ['--net', '--mount', process.execPath, '--conditions=@weave/source', file];
    const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const out = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (out.stdout += chunk));
    child.stderr.on('data', (chunk) => (out.stderr += chunk));
    const [code] = await once(child, 'close');
    return { code, ...out };
  } finally {
    rmSync(file);
  }
}

test('the example of the README does what it says', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weave-readme-'));
  const target = await sleeper();
  t.teardown(() => {
    target.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });
  const values = { stateDir: join(dir, 'state'), runDir: join(dir, 'run'), netns: `/proc/${target.pid}/ns/net` };
  const { code, stdout, stderr } = await run(example, values);
  t.equal(code, 0, stderr);
  t.match(stdout, "ethwe-blue [ '10.3.0.7/24', 'fd00:3::1/64' ]");
  t.match(stdout, /5a:77:0a:03:00:07 \[ '10\.3\.0\.7\/24', 'fd00:3::1\/64' \]/);
});

test('what the README says of errors is what the catalogue says', async (t) => {
  const { FACES } = await import('@weave/core');
  const rows = Object.entries(FACES).map(([kind, { exit, http, cni }]) => `| ${kind} | ${exit} | ${http} | ${cni} |`);
  for (const row of rows) t.ok(readme.includes(row), row);
});
