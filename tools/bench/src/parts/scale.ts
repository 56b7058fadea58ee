import { execFileSync } from 'node:child_process';
import { open } from '@weave/sdk';
import { measured, timed } from '../measure.ts';
import { makeNamespaces } from '../namespaces.ts';
import { warmUp } from '../warm.ts';

const COUNT = 4000;
const WINDOW = 100;

/** One network, more endpoints than four bridges could hold; the first still reaches the last. */
export async function scale(dir: string) {
  await using weave = await open({ stateDir: dir });
  const namespaces = makeNamespaces('s', COUNT);
  await warmUp(weave, namespaces.slice(0, 2 * WINDOW));
  const samples: number[] = [];
  let last = '';
  for (const netns of namespaces) {
    samples.push(
      await timed(async () => {
        last = (await weave.attach({ netns })).addresses[0]!;
      }),
    );
  }
  execFileSync('nsenter', [`--net=${namespaces[0]}`, 'ping', '-c1', '-W5', last.replace(/\/.*/, '')], {
    stdio: 'pipe',
  });
  const early = samples.slice(0, WINDOW);
  return [
    measured(samples.slice(-WINDOW), {
      name: `attach at ${COUNT} endpoints`,
      reference: { name: `attach up to ${WINDOW}`, samples: early },
      atMost: 3,
    }),
  ];
}
