import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { memoryFirewall } from '@weave/core/testing';
import { type Test, t } from 'tap';
import { hostFirewall } from '../src/firewall.ts';
import { type EngineContainer, open, type Weave, WeaveError } from '../src/index.ts';
import { eventually, inside, printed, run, Sleeper } from './processes.ts';

/** The real kernel, where it is short of something or what is worked on goes away. */
const file = fileURLToPath(import.meta.url);
/** In whose environment it is: the tests themselves, and where they may write. */
const DIR = 'WEAVE_LOAD_DIR';
const [WEB, SUBNET] = ['web', [{ cidr: '10.7.0.0/16' }]] as const;

async function tests(dir: string): Promise<void> {
  t.strictSame(networkInterfaces(), {}, 'this is not the network namespace of the machine');
  await run('ip link set lo up');
  await t.test('what dies while it is attached leaves nothing', (t) => dyingTest(t, join(dir, 'dying')));
  await t.test('a process id that is used again', (t) => reuseTest(t, join(dir, 'reuse')));
  await t.test('as many open files as there may be', (t) => filesTest(t, join(dir, 'files')));
  await t.test('a switch has one owner', (t) => ownerTest(t, join(dir, 'owner')));
  await t.test('the packet filter is looked after, whatever the clock says', (t) => clockTest(t));
}

/** Weave, with containers that are what `containers` says. */
const weaveIn = (dir: string, containers = new Map<string, EngineContainer>()): Promise<Weave> =>
  open({
    stateDir: join(dir, 'state'),
    runDir: join(dir, 'run'),
    firewall: memoryFirewall(),
    engine: {
      async container(name) {
        const found = containers.get(name);
        if (!found) throw new WeaveError('WEAVE_CONTAINER_NOT_FOUND', `there is no container ${name}`);
        return found;
      },
    },
  });

const links = async (dir: string) =>
  (JSON.parse(await printed(`nsenter --net=${dir}/run/netns ip -j link`)) as { ifname: string }[])
    .map(({ ifname }) => ifname)
    .filter((name) => name.startsWith('wv') || name.startsWith('wr'));

/** An engine that was asked and has no containers: after it comes a full pass. */
const pass = (weave: Weave) => weave.engine.report({ networks: [], containers: [], gone: [], before: [] });

const ROUNDS = 250;
const CLEAR = ['attached', 'WEAVE_NETNS_NOT_FOUND', 'WEAVE_NOT_RUNNING'];

/** At a random instant of the next two milliseconds. */
async function soon(): Promise<void> {
  const end = performance.now() + Math.random() * 2;
  while (performance.now() < end) await new Promise(setImmediate);
}

async function dyingTest(t: Test, dir: string): Promise<void> {
  const containers = new Map<string, EngineContainer>();
  await using weave = await weaveIn(dir, containers);
  const outcomes = new Map<string, number>();
  await using neighbour = await Sleeper.start();
  await weave.attach({ pid: neighbour.pid }, ['10.9.0.1/24']);
  for (let round = 0; round < ROUNDS; round++) {
    const dying = await Sleeper.start();
    const id = round.toString(16).padStart(64, 'c');
    containers.set(WEB, { id, name: WEB, pid: dying.pid });
    const target = round % 2 ? { pid: dying.pid } : { container: WEB };
    const addresses = round % 3 ? [] : [`10.2.${round}.9/24`, `fd00:2::${round + 1}/64`];
    const killed = soon().then(() => dying.kill());
    const outcome = await soon()
      .then(() => weave.attach(target, addresses))
      .then(
        () => 'attached',
        ({ code, message }: WeaveError) => (CLEAR.includes(code) ? code : `${code}: ${message}`),
      );
    await killed;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (round % 2 === 0) await weave.engine.removed(id);
  }
  t.comment(Object.fromEntries(outcomes));
  t.strictSame(
    [...outcomes.keys()].filter((code) => !CLEAR.includes(code)),
    [],
    'attached, or a clear error',
  );
  t.ok(outcomes.size > 1, 'some were in time, and some were not');
  await pass(weave);
  t.match(await weave.endpoints.list(), [{ addresses: ['10.9.0.1/24'] }], 'no record is left');
  await eventually(async () => (await links(dir)).length === 1);
  t.equal((await links(dir)).length, 1, 'nor an interface');
  await using next = await Sleeper.start();
  const attached = await weave.attach({ pid: next.pid }, ['net:default', '10.2.1.1/24']);
  t.strictSame(attached.addresses, ['10.32.0.1/12', 'fd77:6561:7665::1/64', '10.2.1.1/24'], 'nor an address');
}

async function reuseTest(t: Test, dir: string): Promise<void> {
  const containers = new Map<string, EngineContainer>();
  const id = 'c'.repeat(64);
  const shown = ({ pid }: Sleeper) => inside(pid, 'ip -j addr; ip -j route');
  const first = await weaveIn(dir, containers);
  const [bare, web] = [await Sleeper.start(), await Sleeper.start()];
  containers.set(WEB, { id, name: WEB, pid: web.pid });
  await first.attach({ pid: bare.pid }, ['10.2.1.1/24']);
  await first.attach({ container: WEB }, ['10.2.1.2/24', '10.2.1.3/24']);
  await first.close();
  await using stranger = await bare.replaced();
  await using other = await web.replaced();
  t.strictSame([stranger.pid, other.pid], [bare.pid, web.pid]);
  const before = [await shown(stranger), await shown(other)];

  await using weave = await weaveIn(dir, containers);
  t.strictSame([await shown(stranger), await shown(other)], before, 'a start gives the stranger nothing');
  await eventually(async () => (await links(dir)).length === 0);
  t.strictSame(await links(dir), []);
  t.match(await weave.endpoints.list(), [{ addresses: ['10.2.1.2/24', '10.2.1.3/24'], container: { id } }]);
  t.notOk((await weave.endpoints.list())[0]?.sandbox, 'the container’s are kept for when it runs again');
  await using taker = await Sleeper.start();
  t.match(await weave.attach({ pid: taker.pid }, ['10.2.1.1/24']), { addresses: ['10.2.1.1/24'] }, 'the other is free');

  // The same while the daemon runs, and before it has noticed.
  await using again = await Sleeper.start();
  await weave.engine.started({ id, name: WEB, pid: again.pid });
  t.match(await inside(again.pid, 'ip -j addr'), /"10\.2\.1\.2".*"10\.2\.1\.3"/);
  await using thief = await again.replaced();
  const clean = await shown(thief);
  t.strictSame(await weave.detach({ pid: thief.pid }, ['10.2.1.2/24']), [], 'nothing is taken for the container’s');
  await using third = await Sleeper.start();
  containers.set(WEB, { id, name: WEB, pid: third.pid });
  t.strictSame(await weave.detach({ container: WEB }, ['10.2.1.2/24']), ['10.2.1.2/24']);
  t.equal(await shown(thief), clean, 'what an earlier run had is not asked for where that was');
  await weave.engine.started({ id, name: WEB, pid: third.pid });
  t.match(await inside(third.pid, 'ip -j addr'), /^(?!.*"10\.2\.1\.2").*"10\.2\.1\.3"/);
  await third.kill();
  await using last = await third.replaced();
  const untouched = await shown(last);
  await pass(weave);
  t.strictSame([await shown(thief), await shown(last)], [clean, untouched], 'nor by a full pass');
}

async function filesTest(t: Test, dir: string): Promise<void> {
  await using weave = await weaveIn(dir);
  await using kept = await Sleeper.start();
  await using late = await Sleeper.start();
  await weave.attach({ pid: kept.pid }, ['10.2.1.1/24']);
  const before = [await weave.endpoints.list(), await weave.networks.list()];
  const firewall = hostFirewall();
  const rules = { gateways: [{ link: 'weavegwx', subnets: ['10.7.0.0/16'] }], ports: [] };
  const full = { code: 'WEAVE_TOO_MANY_FILES', kind: 'unavailable' };
  const files = exhaust();
  await t.rejects(weave.attach({ pid: late.pid }), full);
  await t.rejects(pass(weave), full, 'what runs is not taken for gone');
  await t.rejects(firewall.set(rules), full, 'nor nft for not installed');
  // With one to look at the namespace, and none to work in it.
  for (let spare = 1; spare < 4; spare++) {
    closeSync(files.pop()!);
    await weave
      .attach({ pid: late.pid }, ['10.2.1.2/24'])
      .then(() => weave.detach({ pid: late.pid }))
      .catch((error) => t.match(error, full, `${spare} to spare`));
  }
  for (const fd of files) closeSync(fd);
  await weave.detach({ pid: late.pid });
  t.strictSame([await weave.endpoints.list(), await weave.networks.list()], before, 'nothing is lost');
  await pass(weave);
  await firewall.set(rules);
  await firewall.set(undefined);
  await weave.attach({ pid: late.pid }, ['10.2.1.2/24']);
  await weave.networks.create({ name: 'blue', subnets: SUBNET });
  t.match(await inside(late.pid, 'ping -n -c1 -W2 10.2.1.1'), / 0% packet loss/, 'and all works again');
}

/** Opens files until there may be no more. */
function exhaust(): number[] {
  const files: number[] = [];
  for (;;)
    try {
      files.push(openSync('/dev/null', 'r'));
    } catch {
      return files;
    }
}

async function ownerTest(t: Test, dir: string): Promise<void> {
  const own = { runDir: join(dir, 'run'), firewall: memoryFirewall() };
  await using sleeper = await Sleeper.start();
  {
    await using other = await open({ ...own, stateDir: join(dir, 'other') });
    await other.networks.create({ name: 'green' });
  }
  await using weave = await weaveIn(dir);
  await weave.attach({ pid: sleeper.pid }, ['10.2.1.1/24']);
  const before = await printed(`nsenter --net=${dir}/run/netns ip -br link | cut -d" " -f1`);
  const refused = { code: 'WEAVE_ALREADY_RUNNING', message: /netns\.lock is held by another weave daemon/ };
  await t.rejects(open({ ...own, stateDir: join(dir, 'other') }), refused);
  await t.rejects(open({ ...own, stateDir: join(dir, 'state') }), { code: 'WEAVE_STORE_LOCKED' });
  t.equal(
    await printed(`nsenter --net=${dir}/run/netns ip -br link | cut -d" " -f1`),
    before,
    'and it changed nothing',
  );
  await weave.close();
  await using next = await weaveIn(dir);
  t.match(await next.endpoints.list(), [{ addresses: ['10.2.1.1/24'] }]);
}

async function clockTest(t: Test): Promise<void> {
  const firewall = hostFirewall();
  const rules = { gateways: [{ link: 'weavegwx', subnets: ['10.7.0.0/16'] }], ports: [] };
  await firewall.set(rules);
  await run('iptables-nft -P FORWARD DROP');
  const [date, monotonic] = [Date.now, performance.now];
  t.teardown(() => Object.assign(performance, { now: monotonic }));
  t.teardown(() => Object.assign(Date, { now: date }));
  Date.now = () => 0;
  performance.now = () => monotonic.call(performance) + 6000;
  await firewall.set(rules);
  t.match(await printed('iptables-nft -S FORWARD'), /-i weavegw\+ .*ACCEPT/);
  await firewall.set(undefined);
  t.notMatch(await printed('iptables-nft -S FORWARD'), /weave/);
}

const { [DIR]: given } = process.env;
if (given) await tests(given);
else {
  const dir = mkdtempSync(join(tmpdir(), 'weave-load-'));
  // What is mounted there went with the namespaces.
  t.teardown(() => rmSync(dir, { recursive: true }));
  const limits = ['prlimit', '--nofile=256:256'];
  const namespaces = [
    'unshare',
    '--net',
    '--mount',
    '--propagation',
    'private',
    '--pid',
    '--fork',
    '--mount-proc',
    '--kill-child',
  ];
  const [command, ...args] = [...limits, ...namespaces, process.execPath, ...process.execArgv, file];
  await t.spawn(command!, args, { env: { ...process.env, [DIR]: dir } }, 'in namespaces of our own');
}
