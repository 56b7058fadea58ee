import { command, startDaemon } from '../daemon.ts';
import { measured } from '../measure.ts';
import { makeNamespaces } from '../namespaces.ts';
import { startYardstick } from '../yardstick.ts';

const COUNT = 30;

/** What a person waits for, beside what Node takes to do nothing. */
export async function cli(dir: string) {
  using yardstick = startYardstick();
  await using daemon = await startDaemon(dir);
  for (const netns of makeNamespaces('w', 20)) await daemon.weave.attach({ netns });
  const words = { nothing: ['-e', '0'], ps: [command, 'ps'], status: [command, 'status'] };
  const samples = { nothing: [] as number[], ps: [] as number[], status: [] as number[] };
  for (let i = 0; i < COUNT; i++)
    for (const key of ['nothing', 'ps', 'status'] as const)
      samples[key].push(await yardstick.run([process.execPath, ...words[key]]));
  const reference = { name: 'node -e 0', samples: samples.nothing };
  return [
    measured(samples.ps, { name: 'weave ps', reference, atMost: 1.6 }),
    measured(samples.status, { name: 'weave status', reference, atMost: 1.6 }),
  ];
}
