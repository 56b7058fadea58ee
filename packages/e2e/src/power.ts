import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Host } from './host.ts';

const script = readFileSync(fileURLToPath(new URL('../src/cut-power.sh', import.meta.url)), 'utf8');

/** What a power failure leaves of a host: its disk, and no process, link, mount or file in /run of engine or daemon. */
export async function cutPower(host: Host): Promise<void> {
  await host.dockerd.stop('SIGKILL');
  await host.exec(script);
}
