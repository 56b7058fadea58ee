import { open } from '@weave/sdk';
import { linksIn, untilLinks } from '../links.ts';
import { measured, timed } from '../measure.ts';
import { makeNamespaces } from '../namespaces.ts';
import { startYardstick } from '../yardstick.ts';

const COUNT = 200;
const DELETED_ONE_BY_ONE = 40;
const ROUNDS = 3;

/** Answered when the container is off the network; its links are reaped together, soon after. */
export async function detach(dir: string) {
  using yardstick = startYardstick();
  await using weave = await open({ stateDir: dir });
  const mine = makeNamespaces('w', COUNT);
  const bare = makeNamespaces('f', DELETED_ONE_BY_ONE);
  const idle = linksIn('/run/weave/netns');
  const answered: number[] = [];
  const oneAfterOther = async () => {
    for (const netns of mine) answered.push(await timed(() => weave.detach({ netns })));
  };
  const atOnce = () => Promise.all(mine.map((netns) => weave.detach({ netns })));
  const untilReaped = async (detachAll: () => Promise<unknown>) => {
    const rounds: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      for (const netns of mine) await weave.attach({ netns });
      const took = await timed(async () => {
        await detachAll();
        await untilLinks(idle);
      });
      rounds.push(took / COUNT);
    }
    return rounds;
  };
  for (const [i, netns] of bare.entries()) await yardstick.attach(i, netns);
  const oneByOne: number[] = [];
  for (const i of bare.keys()) oneByOne.push(await yardstick.detach(i));
  const reference = { name: 'one RTM_DELLINK', samples: oneByOne };
  const sequential = await untilReaped(oneAfterOther);
  const together = await untilReaped(atOnce);
  return [
    measured(answered, { name: 'detach, answered', atMost: 1.5 }),
    measured(answered, { name: 'detach', reference }),
    measured(together, { name: `${COUNT} detached at once and reaped, each`, atMost: 0.8 }),
    measured(sequential, { name: `${COUNT} detached one by one and reaped, each`, atMost: 0.8 }),
  ];
}
