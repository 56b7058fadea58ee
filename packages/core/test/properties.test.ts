import { isWeaveError } from '@weave/core';
import fc from 'fast-check';
import t from 'tap';
import { crashes } from './properties/crashes.ts';
import { drifts } from './properties/drifts.ts';
import { engineVerbs } from './properties/engine-verbs.ts';
import { recordsAreRight } from './properties/invariants.ts';
import { ownVerbs } from './properties/own.ts';
import { pass, rise } from './properties/pass.ts';
import { Crash, deaths, Idle, type Numbers, Playground, same } from './properties/playground.ts';
import { holds } from './replay.ts';
import { Refused } from './world.ts';

const VERBS = { ...ownVerbs, ...engineVerbs, ...drifts, ...crashes, pass };

interface Step extends Numbers {
  verb: keyof typeof VERBS;
}

/** How often each is chosen. */
const WEIGHTS: Record<Step['verb'], number> = {
  ...{ create: 3, remove: 1, resize: 2, grow: 2, attach: 10, detach: 4, remote: 4 },
  ...{ adopt: 6, name: 1, forget: 1, endpoint: 8, join: 6, publish: 2, leave: 2, delete: 2, called: 2 },
  ...{ meddle: 10, impostor: 1, stranger: 2, rename: 2, stray: 2, ends: 1, starts: 1 },
  ...{ failure: 1, crash: 5, restart: 1, pass: 4 },
};

const ENOUGH = 100_000;

type Outcome = 'done' | 'refused' | 'died' | 'idle';

const counts = Object.fromEntries(
  Object.keys(VERBS).map((verb) => [verb, { done: 0, refused: 0, died: 0, idle: 0 }]),
) as Record<Step['verb'], Record<Outcome, number>>;

const MOVES_STRANGERS = new Set<Step['verb']>(['ends', 'starts', 'stranger']);

/** Verbs and drifts that found something to be about, and deaths; not what only prepares them. */
function operations(): number {
  const { failure: _, crash: __, ...verbs } = counts;
  const performed = Object.values(verbs).map(({ done, refused, died }) => done + refused + died);
  return [...performed, ...deaths.values()].reduce((sum, n) => sum + n, 0);
}

let isBroken = false;

/** Until there have been enough; but what has gone wrong is made as small as it can be. */
async function play(script: readonly Step[]): Promise<void> {
  if (operations() >= ENOUGH && !isBroken) return;
  try {
    await playAll(script);
  } catch (error) {
    isBroken = true;
    throw error;
  }
}

async function playAll(script: readonly Step[]): Promise<void> {
  const w = new Playground();
  let strangers = w.strangersListing();
  for (const step of script) {
    w.now += step.a * 10;
    const { asked, writes } = w;
    counts[step.verb][await attempt(w, step)]++;
    if (w.writes > writes) recordsAreRight(w);
    const moves = MOVES_STRANGERS.has(step.verb);
    if (w.asked === asked && !moves) continue;
    const now = w.strangersListing();
    if (!moves) same(now, strangers, 'strangers come to no harm');
    strangers = now;
  }
  await rise(w);
}

async function attempt(w: Playground, step: Step): Promise<Outcome> {
  try {
    await VERBS[step.verb](w, step);
    return 'done';
  } catch (error) {
    if (error instanceof Crash) {
      await rise(w);
      return 'died';
    }
    if (error instanceof Idle) return 'idle';
    if (error instanceof Refused || (isWeaveError(error) && error.kind !== 'bug')) return 'refused';
    throw error;
  }
}

const number = fc.nat({ max: 999 });
const step: fc.Arbitrary<Step> = fc.record({
  verb: fc.constantFrom(
    ...Object.entries(WEIGHTS).flatMap(([verb, n]) => new Array<Step['verb']>(n).fill(verb as Step['verb'])),
  ),
  ...{ a: number, b: number, c: number },
});

t.test('random verbs, crashes and drifts keep every promise', async (t) => {
  const began = Date.now();
  const scripts = fc.array(step, { minLength: 1, maxLength: 200, size: 'max' });
  // Without bias: what goes wrong needs room to do so. What failed is made small for as long as tap waits.
  const parameters = { numRuns: 2500, unbiased: true, interruptAfterTimeLimit: 250_000 };
  if (!(await holds(t, fc.asyncProperty(scripts, play), parameters))) return;
  t.comment(`seen: ${operations()} verbs, crashes and drifts in ${Date.now() - began} ms`);
  t.ok(operations() >= ENOUGH, 'there were enough of them');
  for (const [verb, { done, refused, died, idle }] of Object.entries(counts))
    t.ok(done >= 100, `${verb}: ${done} done, ${refused} refused, ${died} died, ${idle} idle`);
  for (const at of ['a verb', 'an undo', 'a full pass'])
    for (const place of ['before a write', 'after a write', 'among the operations']) {
      const times = deaths.get(`${at}, ${place}`) ?? 0;
      t.ok(times >= 10, `died in ${at}, ${place}: ${times}`);
    }
});
