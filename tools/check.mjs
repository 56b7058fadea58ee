import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from './setup/checkout.mjs';
import { failure, run, StepFailed, say } from './setup/step.mjs';

const native = join(checkout, 'native');
const checks = [
  { title: 'lint and format', argv: ['biome', 'check', '--error-on-warnings'] },
  { title: 'types of sources and tests', argv: ['tsc', '--project', 'tools/tsconfig.check.json'] },
  { title: 'architecture', argv: ['node', 'tools/check-architecture.mjs'] },
  { title: 'format of Rust', argv: ['cargo', 'fmt', '--all', '--check'], cwd: native },
  {
    title: 'lint of Rust',
    argv: ['cargo', 'clippy', '--locked', '--workspace', '--all-targets', '--', '-D', 'warnings'],
    cwd: native,
  },
];

/** Runs every check, whatever the others say. `report`: answer with whether all hold, instead of throwing. */
export async function check({ stale }, { report = false } = {}) {
  const failures = stale.map((file) => `FAILED: ${file} was not what the build makes of native/; commit the new one`);
  for (const { title, argv, cwd = checkout } of checks) {
    if (!existsSync(cwd)) continue;
    say(`checking ${title}`);
    const result = await run(argv, { cwd });
    if (result.code !== 0) failures.push(failure(title, argv, result));
  }
  if (failures.length === 0) return true;
  if (!report) throw new StepFailed(failures.join('\n\n'));
  console.error(failures.join('\n\n'));
  return false;
}
