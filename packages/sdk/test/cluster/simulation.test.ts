import { fork } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import type { Seen } from './simulation.ts';

const { WEAVE_SEED, WEAVE_HOSTS } = process.env;
const HOSTS = Number(WEAVE_HOSTS ?? 1000);
const EACH = 100;
const SPREAD = 6;
const seed = Number(WEAVE_SEED ?? 7);

t.setTimeout(0);

/** In a process without a test runner's hooks on every promise, and with room for what does not live long. */
async function simulate(): Promise<Seen> {
  const script = new URL('./simulation.ts', import.meta.url);
  const execArgv = ['--conditions=@weave/source', '--max-semi-space-size=256', '--max-old-space-size=8192'];
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = fork(script, [`${HOSTS}`, `${EACH}`, `${SPREAD}`, `${seed}`], { execArgv, env });
  const seen = once(child, 'message').then(([message]) => message as Seen);
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the simulation ended with ${code}`)));
  return Promise.race([seen, ended]);
}

t.test(`${HOSTS} hosts, ${HOSTS * EACH} endpoints, of which 1 % change in a minute; WEAVE_SEED=${seed}`, async (t) => {
  const seen = await simulate();
  t.strictSame(seen.problems, [], 'nothing was refused');
  t.equal(seen.filled, HOSTS * EACH, 'all were attached, and published');
  t.equal(seen.unknown, 0, 'and known to all who share a network with them');
  t.equal(seen.published, HOSTS * EACH, 'all are published at the end');
  t.equal(seen.wrongViews, 0, 'each host knows all endpoints of its networks, and no others');
  t.equal(seen.addresses, seen.published, 'no address twice');
  t.ok(seen.p99 <= 1000, `known everywhere after ${seen.p99} ms at the 99th percentile, of 1,000 that are allowed`);
  const share = (4 * SPREAD) / HOSTS;
  t.ok(
    seen.told < 3 * share * seen.changes + 50,
    `a host was told ${seen.told} times at most, of ${seen.changes} endpoints that changed`,
  );
  const { fill, churn } = seen.seconds;
  t.comment(
    `seen: ${seen.changes} of ${HOSTS * EACH} endpoints replaced, known after p99 ${Math.round(seen.p99)} ms; ${Math.round(fill)} s to fill, ${Math.round(churn)} s to go on`,
  );
});
