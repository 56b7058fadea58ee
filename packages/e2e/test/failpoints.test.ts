import { setTimeout as sleep } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import { createLab, failpoints, mortal } from '../src/index.ts';
import { look, type Seen } from './failpoints/look.ts';
import { PAIRS, type Pair, type Place, type Verb } from './failpoints/verbs.ts';

/** What is done in the background after an answer, such as the reaping of links, is killed too. */
const AFTERMATH_MS = 60;
/** What there is once it is as one of `wanted`, or else after a while: links are reaped behind our back. */
async function settled(place: Place, ...wanted: Seen[]): Promise<Seen> {
  for (let tries = 0; ; tries++) {
    const seen = await look(place);
    if (tries === 20 || wanted.some((w) => w.kernel === seen.kernel && w.records === seen.records)) return seen;
    await sleep(50);
  }
}

interface Outcome {
  verb: string;
  point: string;
  outcome: 'as before' | 'done' | 'recorded, waits for the engine' | string;
  readyMs: number;
}

interface Trial {
  name: string;
  verb: Verb;
  back: Verb;
  before: Seen;
  after: Seen;
  mayWait: boolean;
  isGrant: boolean;
}

/** Kills at every point of a verb; in the end it is done, unkilled. */
async function tryAll(
  t: Test,
  place: Place,
  { name, verb, back, before, after, mayWait, isGrant }: Trial,
): Promise<Outcome[]> {
  const { daemon } = place;
  const outcomes: Outcome[] = [];
  for (let n = 1; ; n++) {
    daemon.arm(n);
    const acknowledged = await verb(place).then(
      () => true,
      () => false,
    );
    await sleep(AFTERMATH_MS);
    const points = daemon.disarm();
    const wasKilled = points.length >= n;
    if (wasKilled) await daemon.kill();
    const readyMs = daemon.isAlive() ? 0 : await daemon.start();
    if (!wasKilled) {
      t.ok(acknowledged, `${name}: not killed, it is done`);
      return outcomes;
    }
    const at = `${name}, killed at ${n}, ${points.at(-1)}`;
    const seen = await settled(place, after, ...(acknowledged ? [] : [before]));
    const outcome = outcomeOf(seen, { before, after, mayWait });
    outcomes.push({ verb: name, point: `${n} ${points.at(-1)}`, outcome, readyMs });
    if (acknowledged) t.equal(outcome, 'done', `${at}: what was acknowledged is`);
    if (outcome === 'neither') t.strictSame(seen, before, `${at}: all or nothing`);
    const { differences } = await daemon.weave.check();
    t.strictSame(outcome.startsWith('recorded') ? [] : differences, [], `${at}: weave check agrees`);
    if (isGrant) await alive(back, place);
    await alive(verb, place);
    t.strictSame(await settled(place, after), after, `${at}: again, it is done`);
    await alive(back, place);
    t.strictSame(await settled(place, before), before, `${at}: taken back, nothing is left`);
  }
}

function outcomeOf(seen: Seen, { before, after, mayWait }: Pick<Trial, 'before' | 'after' | 'mayWait'>): string {
  const is = (kernel: Seen, records: Seen) => seen.kernel === kernel.kernel && seen.records === records.records;
  if (is(after, after)) return 'done';
  if (is(before, before)) return 'as before';
  return mayWait && is(before, after) ? 'recorded, waits for the engine' : 'neither';
}

async function alive(verb: Verb, place: Place): Promise<void> {
  await verb(place);
  if (!place.daemon.isAlive()) await place.daemon.start();
}

async function both(t: Test, place: Place, pair: Pair): Promise<Outcome[]> {
  const { name, verb, inverse, back, given = [], mayWait = false, isGrant = false } = pair;
  for (const each of given) await alive(each.verb, place);
  const before = await look(place);
  await alive(verb, place);
  const after = await look(place);
  t.notSame(after, before, `${name} does something`);
  await alive(back, place);
  t.strictSame(await settled(place, before), before, `${inverse} takes it back`);
  const there = await tryAll(t, place, { name, verb, back, before, after, mayWait, isGrant });
  const turned = { before: after, after: before, mayWait: false, isGrant: false };
  const gone = pair.isOneWay ? [] : await tryAll(t, place, { name: inverse, verb: back, back: verb, ...turned });
  for (const each of given.toReversed()) await alive(each.back, place);
  return [...there, ...gone];
}

function print(t: Test, outcomes: Outcome[]): void {
  for (const { verb, point, outcome } of outcomes) t.comment(`seen: ${verb.padEnd(30)} ${point.padEnd(60)} ${outcome}`);
  const ready = outcomes.map(({ readyMs }) => readyMs).sort((a, b) => a - b);
  t.comment(
    `seen: ${outcomes.length} kills; ready again after ${ready.map(Math.round)[ready.length >> 1]} ms, at most ${Math.round(ready.at(-1)!)}`,
  );
}

const library = failpoints();
tap.teardown(() => library.remove());
const lab = await createLab({ hosts: 2, docker: false });
tap.teardown(() => lab.dispose());

const places = await Promise.all(
  lab.hosts.map(async (host) => {
    const daemon = await mortal(host, library.path);
    await host.exec('ip netns add a');
    await daemon.start();
    return { host, daemon };
  }),
);

test('killed at every failpoint of every verb', { timeout: 2_400_000 }, async (t) => {
  const queue = [...PAIRS];
  const outcomes: Outcome[] = [];
  await Promise.all(
    places.map(async (place) => {
      for (let pair = queue.shift(); pair; pair = queue.shift()) outcomes.push(...(await both(t, place, pair)));
    }),
  );
  print(t, outcomes);
});
