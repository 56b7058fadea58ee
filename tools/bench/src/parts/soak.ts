import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { collectGarbage, INSPECTED, residentMemory, startDaemon } from '../daemon.ts';
import { measured, timed } from '../measure.ts';
import { makeNamespaces } from '../namespaces.ts';

/** Compiling, caches, and V8's heap on its way to the size that it keeps: what is used then is used once. */
const WARM_UP_MINUTES = 20;
const MINUTES = WARM_UP_MINUTES + 20;
const A_SECOND = 5;

/** Attaches and detaches all the time: whether memory, files or times grow. */
export async function soak(dir: string) {
  await using daemon = await startDaemon(dir, [INSPECTED]);
  const targets = makeNamespaces('s', 50).map((netns) => ({ netns }));
  const memory: { hours: number; megabytes: number }[] = [];
  const files: number[] = [];
  const slowest: number[] = [];
  const begun = performance.now();
  for (let minute = 0; minute < MINUTES; minute++) {
    const times: number[] = [];
    for (let i = 0; i < 60 * A_SECOND; i++) {
      const target = targets[i % targets.length]!;
      times.push(await timed(() => daemon.weave.attach(target)));
      await daemon.weave.detach(target);
      const next = begun + ((minute * 60 * A_SECOND + i + 1) * 1000) / A_SECOND;
      await sleep(Math.max(0, next - performance.now()));
    }
    // Garbage that waits for its collector is no growth.
    await collectGarbage();
    const megabytes = residentMemory(daemon.pid);
    if (minute >= WARM_UP_MINUTES) memory.push({ hours: minute / 60, megabytes });
    files.push(readdirSync(`/proc/${daemon.pid}/fd`).length);
    slowest.push(times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)]!);
    console.error(
      `soak: minute ${minute + 1}, ${megabytes.toFixed(1)} MB, ${files.at(-1)} files, p99 ${slowest.at(-1)!.toFixed(1)} ms`,
    );
  }
  const warm = slowest.slice(WARM_UP_MINUTES);
  const half = warm.length >> 1;
  const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length;
  return [
    measured([slope(memory)], { name: 'resident memory grows by, MB an hour', unit: 'MB', atMost: 2 }),
    measured([Math.min(...last(files)) - Math.min(...last(files.slice(0, WARM_UP_MINUTES)))], {
      name: 'files opened and left open',
      unit: '',
      atMost: 0,
    }),
    measured([mean(warm.slice(half)) / mean(warm.slice(0, half))], {
      name: 'p99 of attach, second half over first',
      unit: 'x',
      atMost: 1.25,
    }),
  ];
}

/** One may be open for a moment when they are counted. */
const last = (counts: readonly number[]) => counts.slice(-5);

/** Of the line that fits best, by least squares. */
function slope(points: readonly { hours: number; megabytes: number }[]): number {
  const x = points.reduce((sum, p) => sum + p.hours, 0) / points.length;
  const y = points.reduce((sum, p) => sum + p.megabytes, 0) / points.length;
  const above = points.reduce((sum, p) => sum + (p.hours - x) * (p.megabytes - y), 0);
  return above / points.reduce((sum, p) => sum + (p.hours - x) ** 2, 0);
}
