import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Measure } from './measure.ts';
import { LONG, parts } from './parts/index.ts';
import { type Results, table } from './table.ts';

const results = fileURLToPath(new URL('../results.json', import.meta.url));

const readme = fileURLToPath(new URL('../README.md', import.meta.url));
const MARKS = /<!-- results -->\n|<!-- end -->\n/;

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) {
  console.error(`There is no part ${unknown.join(', ')}. Parts: ${Object.keys(parts).join(' ')}`);
  process.exit(2);
}

const measures: Measure[] = [];
const failed: string[] = [];
for (const name of asked.length > 0 ? asked : Object.keys(parts).filter((part) => !LONG.has(part))) {
  console.error(`bench: measuring ${name}`);
  const found = measure(name);
  if (found) measures.push(...found);
  else failed.push(name);
}
const now: Results = { date: new Date().toISOString().slice(0, 10), kernel: release(), cpus: cpus().length, measures };
console.log(table(now, committed()));
// A run is recorded whole: rows of different days beside each other would say nothing.
if (asked.length === 0 && failed.length === 0) {
  writeFileSync(results, `${JSON.stringify(now, null, 2)}\n`);
  writeReadme(table(now));
}
if (failed.length > 0) {
  console.error(`could not be measured: ${failed.join(', ')}`);
  process.exitCode = 1;
}

/** In namespaces of its own: what a part makes is gone with it. */
function measure(name: string): Measure[] | undefined {
  const dir = mkdtempSync(join(tmpdir(), 'weave-bench-'));
  try {
    const script = 'mount -t tmpfs bench /run && mkdir /run/netns /run/docker && ip link set lo up && exec "$@"';
    const part = fileURLToPath(new URL('part.ts', import.meta.url));
    const inside = ['sh', '-c', script, 'sh', process.execPath, part, name, dir];
    const { status } = spawnSync('unshare', ['--net', '--mount', '--', ...inside], { stdio: ['ignore', 2, 2] });
    return status === 0 ? JSON.parse(readFileSync(join(dir, 'measures.json'), 'utf8')) : undefined;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function committed(): Results | undefined {
  try {
    const root = fileURLToPath(new URL('../../..', import.meta.url));
    return JSON.parse(
      execFileSync('git', ['show', 'HEAD:tools/bench/results.json'], { cwd: root, stdio: 'pipe' }).toString(),
    );
  } catch {
    return undefined; // none yet, or no repository
  }
}

function writeReadme(text: string): void {
  const [head, , tail] = readFileSync(readme, 'utf8').split(MARKS);
  writeFileSync(readme, `${head}<!-- results -->\n\n${text}\n\n<!-- end -->\n${tail}`);
}
