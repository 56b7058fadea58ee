import t from 'tap';
import { playSchedule } from './schedule.ts';

/** WEAVE_SEED plays one again; WEAVE_SCHEDULES plays more than the time of a test run allows. */
const { WEAVE_SEED, WEAVE_SCHEDULES } = process.env;
const BUDGET_MS = 20_000;
const LEAST = 20;

t.setTimeout(0);

t.test(
  'hosts that are cut off, killed, removed and heard again never share an address, and agree in the end',
  async (t) => {
    const first = Number(WEAVE_SEED ?? 1 + Math.floor(Math.random() * 1e9));
    const most = WEAVE_SEED ? 1 : Number(WEAVE_SCHEDULES ?? 10_000);
    const end = WEAVE_SCHEDULES || WEAVE_SEED ? Number.POSITIVE_INFINITY : performance.now() + BUDGET_MS;
    let played = 0;
    let steps = 0;
    for (; played < most && (performance.now() < end || played < LEAST); played++) {
      const seed = first + played;
      const { faults, story, count } = await playSchedule(seed);
      steps += count;
      if (faults.length > 0) {
        t.fail(`to see it again: WEAVE_SEED=${seed}`, { faults, story: story.slice(-400) });
        if (played > 20) break;
      }
    }
    t.comment(`seen: ${played} schedules from WEAVE_SEED=${first}, ${steps} steps`);
    t.pass('all schedules were played');
  },
);
