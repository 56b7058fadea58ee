import { join } from 'node:path';
import { checkout } from './setup/checkout.mjs';
import { failure, run, say } from './setup/step.mjs';

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

/** Runs every check, whatever the others say; shows what fails, and answers the titles of those. */
export async function check({ stale }) {
  const failed = [];
  for (const file of stale) {
    console.error(`FAILED: ${file} was not what the build makes of native/; commit the new one`);
    failed.push(`${file} is what the build makes`);
  }
  for (const { title, argv, cwd = checkout } of checks) {
    say(`checking ${title}`);
    const result = await run(argv, { cwd });
    if (result.code === 0) continue;
    console.error(`\n${failure(title, argv, result)}\n`);
    failed.push(title);
  }
  return failed;
}
