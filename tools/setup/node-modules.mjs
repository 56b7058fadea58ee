import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout, workspacePackages } from './checkout.mjs';
import { nodeFolder } from './environment.mjs';
import { step } from './step.mjs';

const stamp = join(checkout, 'node_modules/.weave-installed');

/** Installs what the lockfile says, unless it is there. */
export async function installNodeModules() {
  if (upToDate()) return;
  await step('installing JavaScript dependencies', ['npx', '--yes', pnpm(), 'install', '--frozen-lockfile']);
  writeFileSync(stamp, digest());
}

function upToDate() {
  const folders = workspacePackages()
    .filter(({ manifest }) => manifest.dependencies || manifest.devDependencies)
    .map(({ folder }) => join(checkout, folder, 'node_modules'));
  return [stamp, nodeFolder, ...folders].every((path) => existsSync(path)) && readFileSync(stamp, 'utf8') === digest();
}

/** pnpm@VERSION from packageManager, without its hash, which npx does not take. */
function pnpm() {
  return JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')).packageManager.split('+')[0];
}

function digest() {
  const manifests = workspacePackages().map(({ folder }) => `${folder}/package.json`);
  const hash = createHash('sha256');
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', ...manifests.sort()]) {
    hash.update(readFileSync(join(checkout, file)));
  }
  return hash.digest('hex');
}
