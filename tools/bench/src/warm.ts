import type { Weave } from '@weave/sdk';
import { linksIn, untilLinks } from './links.ts';

/** A daemon runs for months: its code has been compiled. Everything attached here is gone again. */
export async function warmUp(weave: Weave, namespaces: readonly string[]): Promise<void> {
  const idle = linksIn('/run/weave/netns');
  for (const netns of namespaces) await weave.attach({ netns });
  for (const netns of namespaces) await weave.detach({ netns });
  await untilLinks(idle);
}
