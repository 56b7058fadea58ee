import { on } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createLab, type Host, startEtcd } from '@weave/e2e';
import { connect, type Weave } from '@weave/sdk';
import { measured } from '../measure.ts';

const CONTAINERS = 12;
/** Five come and five go in a second. */
const BETWEEN_MS = 200;
const SAMPLES = 200;
const STARTS = 30;

const prober = fileURLToPath(new URL('../prober.ts', import.meta.url));

/** Three engines, and from when a container has its interface on one of them until it answers one on another. */
export async function reach() {
  await using lab = await createLab({ hosts: 3 });
  const etcd = await startEtcd(lab.hosts[0]!);
  const sites = [];
  for (const host of lab.hosts) sites.push(await site(host, etcd.url));
  const attached = await comingAndGoing(sites);
  const started = await starting(sites);
  for (const { weave } of sites) await weave.close();
  return [
    measured(worst(attached), { name: 'attached on one host, reached from another, p99', atMost: 150 }),
    measured(attached, { name: 'the same, each' }),
    measured(worst(started), { name: 'started by an engine, reached from another host, p99', atMost: 150 }),
    measured(started, { name: 'the same, each' }),
  ];
}

const worst = (samples: number[]) => [samples.toSorted((a, b) => a - b)[Math.floor(samples.length * 0.99)]!];

interface Watcher {
  /** Returns once an address answers the watcher. */
  reaches(address: string): Promise<void>;
  end(): void;
}

interface Site {
  host: Host;
  weave: Weave;
}

async function site(host: Host, store: string): Promise<Site> {
  await host.weave('launch', '--local', '--store', store, '--underlay', host.ip);
  await host.weave('prime');
  for (let n = 0; n <= CONTAINERS; n++)
    await host.docker('run', '-d', '--name', `c${n}`, '--net', 'none', 'busybox', 'sleep', '3600');
  return { host, weave: await connect({ socket: host.path('/run/weave/weave.sock') }) };
}

async function watcher(host: Host, container: string): Promise<Watcher> {
  const pid = await host.docker('inspect', '-f', '{{.State.Pid}}', container);
  const child = host.spawn(['nsenter', '-t', pid, '-n', process.execPath, prober], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout!);
  return {
    async reaches(address) {
      const answers = on(lines, 'line');
      child.stdin!.write(`${address}\n`);
      for await (const [line] of answers) if (line === address) return;
    },
    end: () => void child.kill(),
  };
}

/** Containers that run get addresses and give them back; each is reached from the next host. */
async function comingAndGoing(sites: readonly Site[]): Promise<number[]> {
  const watchers: Watcher[] = [];
  for (const { host, weave } of sites) {
    await weave.attach({ container: 'c0' });
    watchers.push(await watcher(host, 'c0'));
  }
  const samples: number[] = [];
  const running: Promise<void>[] = [];
  for (let n = 0; n < SAMPLES; n++) {
    const [at, from] = [sites[n % 3]!, watchers[(n + 1) % 3]!];
    running.push(come(at, from, `c${1 + (Math.floor(n / 3) % CONTAINERS)}`).then((ms) => void samples.push(ms)));
    await sleep(BETWEEN_MS);
  }
  await Promise.all(running);
  for (const each of watchers) each.end();
  return samples;
}

async function come(at: Site, from: Watcher, container: string): Promise<number> {
  const { addresses } = await at.weave.attach({ container });
  const begun = performance.now();
  await from.reaches(plain(addresses[0]!));
  const took = performance.now() - begun;
  await at.weave.detach({ container });
  return took;
}

/** From when the engine says that a container runs; one after the other, as three engines on one machine can. */
async function starting(sites: readonly Site[]): Promise<number[]> {
  const [first, ...others] = sites as [Site, Site, Site];
  await first.host.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', 'blue');
  for (const { host } of others)
    await host.exec('until docker network inspect blue >/dev/null 2>&1; do sleep 0.1; done', { timeoutMs: 10_000 });
  const samples: number[] = [];
  const watchers: Watcher[] = [];
  for (const { host } of sites) {
    await host.docker('run', '-d', '--name', 'blue', '--net', 'blue', 'busybox', 'sleep', '3600');
    watchers.push(await watcher(host, 'blue'));
  }
  for (let n = 0; n < STARTS; n++) {
    const [at, from] = [sites[n % 3]!, watchers[(n + 1) % 3]!];
    const run = ['run', '-d', '--rm', '--name', `s${n}`, '--net', 'blue', 'busybox', 'sleep', '3600'];
    await at.host.docker(...run);
    const begun = performance.now();
    const [endpoint] = (await at.weave.endpoints.list({ network: 'blue' })).filter(
      (e) => e.container?.name === `s${n}`,
    );
    await from.reaches(plain(endpoint!.addresses[0]!));
    samples.push(performance.now() - begun);
    await at.host.docker('rm', '-f', `s${n}`);
  }
  for (const each of watchers) each.end();
  return samples;
}

const plain = (address: string) => address.slice(0, address.indexOf('/'));
