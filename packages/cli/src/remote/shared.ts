import { normalize } from 'node:path';
import { WeaveError } from '@weave/sdk/client';
import { parseListenAddress } from '../http/address.ts';
import type { DaemonOptions } from '../options.ts';

/** A socket anywhere else would be in the daemon's container alone. WEAVE_INVALID_OPTION. */
export function mustBeShared(options: Pick<DaemonOptions, 'httpAddr' | 'statusAddr'>, dirs: readonly string[]): void {
  const shared = ['/run', '/var/run', ...dirs];
  for (const text of [options.httpAddr, options.statusAddr]) {
    const address = parseListenAddress(text);
    if (typeof address !== 'string' || shared.some((dir) => normalize(address).startsWith(`${dir}/`))) continue;
    throw new WeaveError('WEAVE_INVALID_OPTION', `${address} would be seen in the daemon’s container alone`, {
      hint: `Name a path in ${shared.join(', ')}; or share its directory: WEAVE_DOCKER_ARGS="--volume DIR:DIR"`,
    });
  }
}
