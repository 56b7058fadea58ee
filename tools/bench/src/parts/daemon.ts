import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuTime, residentMemory, startDaemon } from '../daemon.ts';
import { measured, timed } from '../measure.ts';
import { makeNamespaces } from '../namespaces.ts';

const ENDPOINTS = 200;
const AT_ONCE = 100;
const STARTS = 5;
/** Longer than what recurs once a minute. */
const IDLE_MS = 65_000;

/** A daemon with endpoints: asked by many at once, started again, left alone. */
export async function daemon(dir: string) {
  const slowest: number[] = [];
  const targets = makeNamespaces('w', ENDPOINTS).map((netns) => ({ netns }));
  {
    await using first = await startDaemon(dir);
    for (let i = 0; i < ENDPOINTS; i += AT_ONCE) {
      const many = targets.slice(i, i + AT_ONCE);
      const times = await Promise.all(many.map((target) => timed(() => first.weave.attach(target))));
      slowest.push(Math.max(...times));
    }
  }
  const links = () => execFileSync('nsenter', ['--net=/run/weave/netns', 'ip', '-o', 'link']).toString();
  const before = links();
  const ready: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    await using again = await startDaemon(dir);
    ready.push(again.ready);
    if (links() !== before) throw new Error('a start changed links that were right');
  }
  await using left = await startDaemon(dir);
  await sleep(5_000);
  const spent = cpuTime(left.pid);
  await sleep(IDLE_MS);
  const idle = ((cpuTime(left.pid) - spent) / IDLE_MS) * 100;
  return [
    measured(slowest, { name: `slowest of ${AT_ONCE} attaches at once over the socket`, atMost: 300 }),
    measured(ready, { name: `ready from cold with ${ENDPOINTS} endpoints`, atMost: 600 }),
    measured([idle], { name: `idle, share of a core, with ${ENDPOINTS} endpoints`, unit: '%', atMost: 0.3 }),
    measured([residentMemory(left.pid)], {
      name: `resident memory, with ${ENDPOINTS} endpoints`,
      unit: 'MB',
      atMost: 90,
    }),
  ];
}
