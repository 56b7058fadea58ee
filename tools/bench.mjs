import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { checkout } from './setup/checkout.mjs';
import { environment } from './setup/environment.mjs';
import { StepFailed, step } from './setup/step.mjs';

/** Measures these parts, or all. */
export async function bench(parts) {
  await step('building the reference', ['cargo', 'build', '--locked', '--release', '--package=weave-floor'], {
    cwd: join(checkout, 'native'),
  });
  const argv = [join(checkout, 'tools/bench/src/bench.ts'), ...parts];
  const { status } = spawnSync('node', argv, { cwd: checkout, env: environment(), stdio: 'inherit' });
  if (status !== 0) throw new StepFailed('not everything could be measured');
}
