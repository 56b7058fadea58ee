import { setTimeout as sleep } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import { createLab, failpoints, type Host, type Mortal, mortal, random } from '../src/index.ts';

/** So that what failed can be done again, as far as two processes repeat themselves. */
const SEED = Number(process.env.WEAVE_SEED ?? Date.now() % 1_000_000);
const KILLS = 1000;
const HOSTS = 2;
const WORKERS = 6;
const START_MS = 400;
/** Its first verb takes a daemon as long as the next twenty. */
const WORK_MS = 500;
const LOOK_EVERY = 50;

const library = failpoints();
tap.teardown(() => library.remove());
const lab = await createLab({ hosts: HOSTS, docker: false });
tap.teardown(() => lab.dispose());

/** What a namespace was last told; undefined while nobody knows. */
interface Worker {
  netns: string;
  addresses: string[] | undefined;
}

/** Attaches and detaches for ever, through every death. */
async function work(daemon: Mortal, worker: Worker, isOver: () => boolean): Promise<number> {
  let done = 0;
  while (!isOver()) {
    const { addresses: had } = worker;
    worker.addresses = undefined;
    try {
      if (had?.length) await daemon.weave.detach({ netns: worker.netns });
      worker.addresses = had?.length ? [] : (await daemon.weave.attach({ netns: worker.netns })).addresses;
      done++;
    } catch {
      await sleep(10);
    }
  }
  return done;
}

/** What was acknowledged is in the records, whatever came after it; and no address twice. */
async function remembered(t: Test, { daemon, workers }: Place, when: string): Promise<void> {
  const endpoints = await daemon.weave.endpoints.list();
  const has = new Map(endpoints.map((e) => [e.sandbox?.kind === 'netns' ? e.sandbox.path : '', e.addresses]));
  const told = workers.filter(({ addresses }) => addresses);
  t.strictSame(
    told.map(({ netns }) => [netns, has.get(netns) ?? []]),
    told.map(({ netns, addresses }) => [netns, addresses]),
    `${when}: each has what it was told last`,
  );
  const all = endpoints.flatMap((e) => e.addresses);
  t.equal(new Set(all).size, all.length, `${when}: no address twice`);
}

const inside = (host: Host, netns: string) =>
  host.exec(['nsenter', `--net=${netns}`, 'ip', '-o', 'addr', 'show', 'ethwe'], { allowFail: true });

/** By programs that are not ours: each namespace has the addresses of its record, and the switch one port for each. */
async function agrees(t: Test, { host, daemon, workers }: Place, when: string): Promise<void> {
  const { differences } = await daemon.weave.check();
  t.strictSame(differences, [], `${when}: weave check`);
  const endpoints = await daemon.weave.endpoints.list();
  for (const { netns } of workers) {
    const record = endpoints.find((e) => e.sandbox?.kind === 'netns' && e.sandbox.path === netns);
    const seen = [...(await inside(host, netns)).stdout.matchAll(/inet6? (\S+)/g)].map(([, text]) => text!);
    const own = seen.filter((text) => !text.startsWith('fe80'));
    t.strictSame(own.sort(), [...(record?.addresses ?? [])].sort(), `${when}: ip shows the same in ${netns}`);
  }
  await eventuallyPorts(t, host, endpoints.length, when);
}

async function eventuallyPorts(t: Test, host: Host, wanted: number, when: string): Promise<void> {
  let ports = -1;
  for (let tries = 0; tries < 60 && ports !== wanted; tries++) {
    const { stdout } = await host.exec('nsenter --net=/run/weave/netns ip -o link');
    ports = stdout.split('\n').filter((line) => line.includes('master')).length;
  }
  t.equal(ports, wanted, `${when}: one port an endpoint`);
}

interface Place {
  host: Host;
  daemon: Mortal;
  workers: Worker[];
}

async function killing(t: Test, place: Place, seed: number): Promise<{ verbs: number; ready: number[] }> {
  const { daemon, workers } = place;
  const n = random(seed);
  const ready: number[] = [];
  let verbs = 0;
  for (let kill = 1; kill <= KILLS / HOSTS; kill++) {
    let over = false;
    const working = workers.map((worker) => work(daemon, worker, () => over));
    const started = daemon.start().then(
      (ms) => ready.push(ms),
      () => undefined, // it was killed before
    );
    try {
      // While it starts, or once it works.
      if (n(2)) await started.then(() => sleep(n(WORK_MS)));
      else await sleep(n(START_MS));
      await daemon.kill();
    } finally {
      over = true;
    }
    await started;
    verbs += (await Promise.all(working)).reduce((a, b) => a + b, 0);
    if (kill % LOOK_EVERY === 0) await look(t, place, `kill ${kill}, WEAVE_SEED=${SEED}`);
  }
  await daemon.start();
  for (const { netns } of workers) await daemon.weave.detach({ netns });
  t.strictSame(await daemon.weave.endpoints.list(), [], 'all is detached');
  await agrees(t, place, 'in the end');
  await daemon.kill();
  return { verbs, ready };
}

async function look(t: Test, place: Place, when: string): Promise<void> {
  await place.daemon.start();
  await remembered(t, place, when);
  await agrees(t, place, when);
  await place.daemon.kill();
}

test(`killed ${KILLS} times at random under load`, { timeout: 2_400_000 }, async (t) => {
  const results = await Promise.all(
    lab.hosts.map(async (host, index) => {
      const daemon = await mortal(host, library.path);
      const workers = Array.from({ length: WORKERS }, (_, i) => ({ netns: `/run/netns/w${i}`, addresses: undefined }));
      await host.exec(workers.map((_, i) => `ip netns add w${i}`).join('; '));
      return killing(t, { host, daemon, workers }, SEED + index);
    }),
  );
  const verbs = results.reduce((sum, result) => sum + result.verbs, 0);
  const ready = results.flatMap((result) => result.ready).sort((a, b) => a - b);
  t.ok(verbs > KILLS, `${verbs} verbs were acknowledged meanwhile`);
  t.comment(`seen: ${KILLS} kills; ready in ${Math.round(ready[ready.length >> 1]!)} ms where it was let live so long`);
});
