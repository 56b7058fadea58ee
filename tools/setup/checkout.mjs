import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const checkout = fileURLToPath(new URL('../../', import.meta.url));

/** The workspace's packages: folder relative to the checkout, and manifest. */
export function workspacePackages() {
  const folders = readdirSync(join(checkout, 'packages')).map((name) => `packages/${name}`);
  return [...folders, 'native', 'tools/bench'].flatMap((folder) => {
    try {
      return [{ folder, manifest: JSON.parse(readFileSync(join(checkout, folder, 'package.json'), 'utf8')) }];
    } catch (error) {
      if (error.code === 'ENOENT') return []; // what another branch left: dist without a package
      throw error;
    }
  });
}
