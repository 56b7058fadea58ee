import { open } from '@weave/sdk';
import { measured, timed } from '../measure.ts';
import { makeNamespaces } from '../namespaces.ts';

const COUNT = 500;
const ROUNDS = 3;

/** As many as one client has, all asked for at once. */
export async function burst(dir: string) {
  await using weave = await open({ stateDir: dir });
  const attached: number[] = [];
  const detached: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const targets = makeNamespaces(`r${round}-`, COUNT).map((netns) => ({ netns }));
    attached.push(await timed(() => Promise.all(targets.map((target) => weave.attach(target)))));
    detached.push(await timed(() => Promise.all(targets.map((target) => weave.detach(target)))));
  }
  return [
    measured(
      attached.map((ms) => (COUNT / ms) * 1000),
      { name: `${COUNT} attaches at once`, unit: '/s', atLeast: 1000 },
    ),
    measured(
      detached.map((ms) => ms / COUNT),
      { name: `${COUNT} detaches at once, each`, atMost: 0.8 },
    ),
  ];
}
