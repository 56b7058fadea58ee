import { open } from '@weave/sdk';
import { measured, quantile, timed } from '../measure.ts';
import { makeNamespaces } from '../namespaces.ts';
import { rivals } from '../rivals.ts';
import { warmUp } from '../warm.ts';
import { startYardstick } from '../yardstick.ts';

const COUNT = 200;
/** A rival takes so much longer that fewer samples do. */
const RIVALS_EVERY = 5;

/** One container after the other: each way in turn, so that all meet the same noise. */
export async function attach(dir: string) {
  using yardstick = startYardstick();
  await using weave = await open({ stateDir: dir });
  const others = rivals(yardstick).map((rival) => ({ rival, samples: [] as number[] }));
  const [mine, bare, plain, theirs] = ['w', 'f', 'p', 'r'].map((prefix) => makeNamespaces(prefix, COUNT));
  await warmUp(weave, mine!);
  const ours: number[] = [];
  const floor: number[] = [];
  const usual: number[] = [];
  for (let i = 0; i < COUNT; i++) {
    floor.push(await yardstick.attach(i, bare![i]!, 1));
    usual.push(await yardstick.attach(COUNT + i, plain![i]!));
    ours.push(await timed(() => weave.attach({ netns: mine![i]! })));
    const { rival, samples } = others[i % others.length]!;
    if (i % RIVALS_EVERY === 0) samples.push(await rival.attach(i, theirs![i]!));
  }
  return [
    measured(ours, {
      name: 'attach, durable, two families',
      reference: { name: 'kernel floor', samples: floor },
      atMost: 2.5,
    }),
    measured(ours, { name: 'attach', reference: { name: 'kernel floor, as many queues as CPUs', samples: usual } }),
    ...others.map(({ rival, samples }) =>
      measured(ours, {
        name: 'attach',
        reference: { name: rival.name, samples },
        ...(rival.name.startsWith('CNI') ? { atMost: 0.15 } : {}),
      }),
    ),
    measured([quantile(ours, 0.99)], {
      name: 'attach, p99',
      reference: { name: 'its p50', samples: ours },
      atMost: 8,
    }),
  ];
}
