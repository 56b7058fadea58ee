import { setTimeout as sleep } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import { createLab, type Host, killDaemon, random, startEtcd } from '../src/index.ts';

/** So that what failed can be done again, as far as processes repeat themselves. */
const SEED = Number(process.env.WEAVE_SEED ?? Date.now() % 1_000_000);
/** WEAVE_SCHEDULES=200 plays as many as it takes. */
const SCHEDULES = Number(process.env.WEAVE_SCHEDULES ?? 6);
const WORKERS = 4;
const VERBS = 12;
const HEALED_MS = 5000;

const lab = await createLab({ hosts: 4, docker: false });
tap.teardown(() => lab.dispose());
const [store, ...hosts] = lab.hosts as [Host, ...Host[]];
const etcd = await startEtcd(store);
const launch = (host: Host) => host.weave('launch', '--local', '--store', etcd.url, '--underlay', host.ip);
for (const host of hosts) {
  await host.exec(Array.from({ length: WORKERS }, (_, i) => `ip netns add w${i}`).join('; '));
  await launch(host);
  await host.weave('prime');
}
const n = random(SEED);

/** Drops what comes from, or goes to, some others; all of it is undone by flushing the table. */
const drop = (host: Host, direction: 'saddr' | 'daddr', others: readonly Host[]) =>
  host.exec(
    [
      'nft add table inet cut',
      `nft 'add chain inet cut ${direction} { type filter hook ${direction === 'saddr' ? 'input' : 'output'} priority 0; }'`,
      ...others.map(({ ip }) => `nft add rule inet cut ${direction} ip ${direction} ${ip} drop`),
    ].join('; '),
  );
const undrop = (host: Host) => host.exec('nft delete table inet cut', { allowFail: true });

const any = (): Host => hosts[n(hosts.length)]!;
const others = (host: Host) => [store, ...hosts].filter((each) => each !== host);

/** What goes wrong, and how it is put right. */
const FAULTS: Record<string, () => Promise<() => Promise<unknown>>> = {
  async 'the store hangs'() {
    etcd.stopSignal('SIGSTOP');
    return async () => etcd.stopSignal('SIGCONT');
  },
  async 'the store is killed'() {
    await etcd.kill();
    return () => etcd.start();
  },
  async 'a host is cut off'() {
    const host = any();
    await drop(host, 'saddr', others(host));
    await drop(host, 'daddr', others(host));
    return () => undrop(host);
  },
  async 'a host hears nothing of the store'() {
    const host = any();
    await drop(host, 'saddr', [store]);
    return () => undrop(host);
  },
  async 'half and half'() {
    const [first, ...rest] = hosts as [Host, ...Host[]];
    await drop(first, 'saddr', rest);
    return () => undrop(first);
  },
  async 'a daemon is killed'() {
    const host = any();
    await killDaemon(host);
    return () => launch(host);
  },
};

async function work(): Promise<void> {
  const host = any();
  const netns = `/run/netns/w${n(WORKERS)}`;
  const verb = n(3) ? 'attach' : 'detach';
  await host.exec(['weave', verb, netns], { allowFail: true, timeoutMs: 120_000 });
}

interface Known {
  addresses: string[];
  peer: string;
}

const known = async (host: Host): Promise<Known[]> => {
  const { stdout } = await host.exec(['weave', 'network', 'inspect', 'weave', '--json'], { allowFail: true });
  return stdout ? (JSON.parse(stdout) as { endpoints: Known[] }).endpoints : [];
};

/** By a program that is not ours: the addresses in the namespaces of a host. */
const inKernel = async (host: Host): Promise<string[]> => {
  const each = Array.from({ length: WORKERS }, (_, i) => `ip -n w${i} -o addr show ethwe 2>/dev/null`).join('; ');
  const { stdout } = await host.exec(each, { allowFail: true });
  return [...stdout.matchAll(/inet6? (\S+)/g)].map(([, text]) => text!).filter((text) => !text.startsWith('fe80'));
};

async function noneTwice(t: Test, when: string): Promise<string[]> {
  const all = (await Promise.all(hosts.map(inKernel))).flat();
  t.equal(new Set(all).size, all.length, `${when}: no address twice`);
  return all.sort();
}

/** Each host that has endpoints knows those of all, as they are in the kernels. */
async function agreed(): Promise<boolean> {
  const all = (await Promise.all(hosts.map(inKernel))).flat().sort().join(' ');
  for (const host of hosts) {
    const own = await inKernel(host);
    const seen = (await known(host)).flatMap(({ addresses }) => addresses).sort();
    if (own.length > 0 && seen.join(' ') !== all) return false;
  }
  return true;
}

test(`${SCHEDULES} random faults, healed; WEAVE_SEED=${SEED}`, { timeout: 2_400_000 }, async (t) => {
  const healed: number[] = [];
  for (let schedule = 0; schedule < SCHEDULES; schedule++) {
    const names = Object.keys(FAULTS);
    const name = names[schedule < names.length ? schedule : n(names.length)]!;
    const when = `${schedule} ${name}`;
    const heal = await FAULTS[name]!();
    for (let verb = 0; verb < VERBS; verb++) await work();
    await noneTwice(t, when);
    await heal();
    const begun = performance.now();
    while (!(await agreed()) && performance.now() - begun < 30_000) await sleep(50);
    const ms = performance.now() - begun;
    healed.push(ms);
    t.ok(await agreed(), `${when}: all agree after it`);
    await noneTwice(t, `${when}, healed`);
  }
  t.comment(
    `seen: agreed ${Math.round(Math.max(...healed))} ms after healing at most (of ${HEALED_MS}), over ${SCHEDULES} faults`,
  );
});
