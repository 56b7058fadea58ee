import { open } from '@weave/sdk';
import { linksIn, untilLinks } from '../links.ts';
import { measured, timed } from '../measure.ts';
import { makeNamespaces } from '../namespaces.ts';
import { startYardstick } from '../yardstick.ts';

const COUNT = 200;
const DELETED_ONE_BY_ONE = 40;

/** Answered when the container is off the network; its links are reaped together, soon after. */
export async function detach(dir: string) {
  using yardstick = startYardstick();
  await using weave = await open({ stateDir: dir });
  const mine = makeNamespaces('w', COUNT);
  const bare = makeNamespaces('f', DELETED_ONE_BY_ONE);
  const empty = linksIn('/run/weave/netns');
  for (const netns of mine) await weave.attach({ netns });
  for (const [i, netns] of bare.entries()) await yardstick.attach(i, netns);
  const answered: number[] = [];
  const amortised = await timed(async () => {
    for (const netns of mine) answered.push(await timed(() => weave.detach({ netns })));
    await untilLinks(empty);
  });
  const oneByOne: number[] = [];
  for (const i of bare.keys()) oneByOne.push(await yardstick.detach(i));
  const reference = { name: 'one RTM_DELLINK', samples: oneByOne };
  return [
    measured(answered, { name: 'detach, answered', atMost: 1.5 }),
    measured(answered, { name: 'detach', reference }),
    measured([amortised / COUNT], { name: `detach and reaping, each of ${COUNT}`, atMost: 0.8 }),
  ];
}
