import { setTimeout as sleep } from 'node:timers/promises';
import { createLab, type Host } from '@weave/e2e';
import { connect, type Weave } from '@weave/sdk';
import { measured } from '../measure.ts';

const HOSTS = 30;
const LIMIT_MS = 120_000;
/** Half a minute after they came together the garbage of that is collected: once, for 70 to 150 ms. */
const SETTLE_MS = 30_000;
const IDLE_MS = 60_000;

/** Thirty hosts become one cluster at once: the first is alone until then, and its daemons run the store. */
export async function crowd() {
  await using lab = await createLab({ hosts: HOSTS, docker: false });
  const [first, ...rest] = lab.hosts as [Host, ...Host[]];
  await first.weave('launch', '--local');
  const begun = performance.now();
  await Promise.all(rest.map((host) => host.weave('launch', '--local', first.ip)));
  const weaves = await Promise.all(lab.hosts.map((host) => connect({ socket: host.path('/run/weave/weave.sock') })));
  const deadline = performance.now() + LIMIT_MS;
  for (const weave of weaves)
    while (!(await knowsAll(weave))) {
      if (performance.now() > deadline) throw new Error('the hosts did not find together');
      await sleep(100);
    }
  const converged = performance.now() - begun;
  const pids = await Promise.all(weaves.map(async (weave) => (await weave.status()).pid));
  for (const weave of weaves) await weave.close();
  await sleep(SETTLE_MS);
  const daemons = lab.hosts.map((host, index) => ({ host, pid: pids[index]! }));
  const before = await Promise.all(daemons.map(cpuTime));
  await sleep(IDLE_MS);
  const after = await Promise.all(daemons.map(cpuTime));
  const idle = after.map((each, index) => ((each - before[index]!) / IDLE_MS) * 100);
  const memory = await Promise.all(daemons.map(memoryOf));
  return [
    measured([converged / 1000], {
      ...{ name: `${HOSTS} daemons join at once, until each knows all`, unit: 's', atMost: 30 },
    }),
    measured([Math.max(...memory.map(({ own }) => own))], {
      ...{ name: 'the one that has most memory, shared pages by their share', unit: 'MB' },
    }),
    measured([Math.max(...memory.map(({ resident }) => resident))], {
      ...{ name: 'the same, resident', unit: 'MB', atMost: 90 },
    }),
    measured([Math.max(...idle)], { name: 'the one that works most when nothing happens', unit: '%', atMost: 0.5 }),
  ];
}

const knowsAll = async (weave: Weave) =>
  (await weave.cluster.peers()).filter(({ self, alive }) => self || alive).length === HOSTS;

interface Daemon {
  host: Host;
  /** On that host. */
  pid: number;
}

async function cpuTime({ host, pid }: Daemon): Promise<number> {
  const { stdout } = await host.exec(`cat /proc/${pid}/task/*/schedstat`);
  return stdout
    .trim()
    .split('\n')
    .reduce((sum, line) => sum + Number(line.split(' ')[0]) / 1e6, 0);
}

async function memoryOf({ host, pid }: Daemon): Promise<{ own: number; resident: number }> {
  const { stdout } = await host.exec(`cat /proc/${pid}/smaps_rollup`);
  const megabytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(stdout)?.[1]) / 1024;
  return { own: megabytes('Pss'), resident: megabytes('Rss') };
}
