import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from './setup/checkout.mjs';
import { requireRust } from './setup/debian.mjs';
import { forNx } from './setup/environment.mjs';
import { step } from './setup/step.mjs';

const generated = ['native/index.js', 'native/index.d.ts'];

/** Builds every package; tells which committed generated files the build changed. */
export async function build() {
  requireRust();
  const before = generated.map(content);
  await step('building all packages', ['nx', 'run-many', '--target=build', '--output-style=static'], { env: forNx });
  return { stale: generated.filter((file, i) => before[i] !== undefined && before[i] !== content(file)) };
}

function content(file) {
  try {
    return readFileSync(join(checkout, file), 'utf8');
  } catch {
    return undefined;
  }
}
