import { memoryDirectory } from '@weave/core/testing';
import t from 'tap';
import { type Member, member } from './crowd.ts';
import { virtualTime } from './virtual.ts';

const { WEAVE_SEED, WEAVE_HOSTS } = process.env;
const HOSTS = Number(WEAVE_HOSTS ?? 1000);
const EACH = 100;
/** A network has so many hosts; each of them has half of its endpoints on it, and is on two. */
const SPREAD = 6;
const MINUTES = 3;
const MINUTE = 60_000;

t.setTimeout(0);

interface Wave {
  since: number;
  /** Who has not seen it yet. */
  waiting: Set<string>;
}

t.test(`${HOSTS} hosts with ${EACH} endpoints each, of which 1 % change in a minute`, async (t) => {
  const seed = Number(WEAVE_SEED ?? 7);
  const began = performance.now();
  const virtual = virtualTime(seed);
  const directory = memoryDirectory({ later: virtual.latency(1, 5), clock: virtual.now });
  const waves = new Map<string, Wave>();
  const delays: number[] = [];
  function saw(host: string, endpoint: string, record: unknown): void {
    const wave = waves.get(`${endpoint} ${record ? 'came' : 'went'}`);
    if (!wave?.waiting.delete(host) || wave.waiting.size > 0) return;
    delays.push(virtual.now() - wave.since);
    waves.delete(`${endpoint} ${record ? 'came' : 'went'}`);
  }

  const members: Member[] = [];
  for (let index = 0; index < HOSTS; index++) members.push(await member(index, { virtual, directory, saw }));
  await virtual.pass(3000);
  const joined = performance.now();

  const networks = Math.round((HOSTS * 2) / SPREAD);
  const onNetwork = new Map<string, Member[]>();
  const networksOf = (index: number) => [`n${index % networks}`, `n${(index * 7 + 3) % networks}`];
  for (let n = 0; n < networks; n++) {
    const { weave } = members[n % HOSTS]!;
    void weave.networks.create({ name: `n${n}`, subnets: [{ cidr: `10.${64 + (n >> 6)}.${(n & 63) << 2}.0/22` }] });
    await virtual.pass(50);
  }
  await virtual.pass(1000);
  const made = performance.now();
  t.comment(`${(joined - began) | 0} ms join, ${(made - joined) | 0} ms networks, rss ${process.memoryUsage.rss() >> 20}`);

  const problems: unknown[] = [];
  async function attach(index: number, number: number): Promise<void> {
    const name = networksOf(index)[number % 2]!;
    await members[index]!.weave
      .attach({ container: number.toString(36) }, [], { network: name })
      .catch((error) => problems.push(error));
  }
  for (let number = 0; number < EACH; number++) {
    for (const index of members.keys()) void attach(index, number);
    await virtual.pass(100);
  }
  await virtual.pass(3000);
  const filled = performance.now();
  t.comment(`${(filled - made) | 0} ms fill, rss ${process.memoryUsage.rss() >> 20} ${directory.entries('/weave/endpoint/').length}`);
  t.strictSame(problems.slice(0, 3), []);
});
