import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** Returns once the switch has no more links than `count`: what was detached is reaped in the background. */
export async function untilLinks(count: number, netns = '/run/weave/netns'): Promise<void> {
  while (linksIn(netns) > count) await sleep(1);
}

export function linksIn(netns: string): number {
  // /proc/net/dev of the namespace: two lines of heading.
  const shown = execFileSync('nsenter', [`--net=${netns}`, 'cat', '/proc/net/dev']).toString();
  return shown.trimEnd().split('\n').length - 2;
}
