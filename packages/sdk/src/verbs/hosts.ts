import { type AttachTarget, type Endpoint, fail, isWeaveError } from '@weave/core';
import type { Host } from '../host.ts';
import { hostsLines, writeHosts } from '../hosts.ts';

/** Writes what the attachments of a container say of names into its /etc/hosts; `next` is one as it is about to be. */
export function rewriteHosts({ state, datapath }: Host, { path, id, container }: AttachTarget, next?: Endpoint): void {
  const all = state.endpointsIn(container?.id ?? id).filter((each) => each.id !== next?.id);
  // Another process may have its number by now.
  if (datapath.netnsId(path) !== id) return;
  try {
    writeHosts(path, hostsLines(next ? [...all, next] : all));
  } catch (error) {
    if (isWeaveError(error)) throw error;
    fail('WEAVE_HOSTS_FAILED', `/etc/hosts of the container cannot be written: ${(error as Error).message}`);
  }
}

/** Carries an attachment out, its names first: who waits for the interface finds them. */
export async function withHosts(
  host: Host,
  target: AttachTarget,
  endpoint: Endpoint,
  carryOut: () => Promise<void>,
): Promise<void> {
  if (!endpoint.hosts) return carryOut();
  rewriteHosts(host, target, endpoint);
  try {
    await carryOut();
  } catch (error) {
    rewriteHosts(host, target);
    throw error;
  }
}
