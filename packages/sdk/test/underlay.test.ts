import { type ChildProcess, spawn } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Test, t } from 'tap';
import { type UnderlayPath, underlayPaths } from '../src/underlay/paths.ts';
import { inOwnNamespace } from './own-namespace.ts';
import { inside, Sleeper } from './processes.ts';

const file = fileURLToPath(import.meta.url);
/** This file starts itself again: a host that probes another. */
const PART = 'WEAVE_UNDERLAY_PART';

/** Two hosts with a router between them; all of a host's leg has the same MTU. */
const HOSTS = [
  { name: 'left', v4: '192.0.2.2', v6: '2001:db8:1::2', gateway4: '192.0.2.1', gateway6: '2001:db8:1::1' },
  { name: 'right', v4: '198.51.100.2', v6: '2001:db8:2::2', gateway4: '198.51.100.1', gateway6: '2001:db8:2::1' },
] as const;

type Leg = (typeof HOSTS)[number]['name'];

class Wire {
  readonly router: Sleeper;
  readonly #hosts: Record<Leg, Sleeper>;

  private constructor(router: Sleeper, hosts: Record<Leg, Sleeper>) {
    this.router = router;
    this.#hosts = hosts;
  }

  static async lay(t: Test, mtu: number): Promise<Wire> {
    const [router, left, right] = await Promise.all([Sleeper.start(), Sleeper.start(), Sleeper.start()]);
    t.teardown(() => Promise.all([router, left, right].map((host) => host.kill())));
    const wire = new Wire(router, { left, right });
    await inside(router.pid, 'ip link set lo up; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1');
    for (const { name, v4, v6, gateway4, gateway6 } of HOSTS) {
      const { pid } = wire.#hosts[name];
      await inside(
        router.pid,
        `ip link add ${name} mtu ${mtu} type veth peer name eth0 netns ${pid} mtu ${mtu}
         ip addr add ${gateway4}/24 dev ${name}; ip addr add ${gateway6}/64 dev ${name} nodad; ip link set ${name} up`,
      );
      await inside(
        pid,
        `ip link set lo up; ip addr add ${v4}/24 dev eth0; ip addr add ${v6}/64 dev eth0 nodad; ip link set eth0 up
         ip route add default via ${gateway4}; ip -6 route add default via ${gateway6}`,
      );
    }
    return wire;
  }

  /** Only the router's end: what is larger it drops, and says so, unless it is made not to. */
  setRouter(leg: Leg, mtu: number): Promise<string> {
    return inside(this.router.pid, `ip link set ${leg} mtu ${mtu}`);
  }

  async setLeg(leg: Leg, mtu: number): Promise<void> {
    await inside(this.#hosts[leg].pid, `ip link set eth0 mtu ${mtu}`);
    await this.setRouter(leg, mtu);
  }

  /** In the router, each with the chain that it is for. */
  rules(...rules: string[]): Promise<string> {
    const of = (hook: string) => rules.filter((rule) => rule.startsWith(hook)).map((rule) => rule.slice(hook.length));
    const chains = ['forward', 'output'].map((hook) =>
      [`chain ${hook} {`, `type filter hook ${hook} priority 0`, ...of(hook), '}'].join('\n'),
    );
    return inside(
      this.router.pid,
      `echo "${['flush ruleset', 'table inet test {', ...chains, '}'].join('\n')}" | nft -f -`,
    );
  }

  prober(t: Test, from: Leg): Prober {
    const prober = new Prober(this.#hosts[from].pid, from);
    t.teardown(() => prober.end());
    return prober;
  }
}

/** A host that says what it knows of its paths to the other. */
class Prober {
  #paths: UnderlayPath[] = [];
  readonly #child: ChildProcess;

  constructor(pid: number, from: Leg) {
    const command = ['nsenter', `--target=${pid}`, '--net', process.execPath, ...process.execArgv, file];
    this.#child = spawn(command[0]!, command.slice(1), {
      env: { ...process.env, [PART]: from },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface(this.#child.stdout!).on('line', (line) => {
      this.#paths = JSON.parse(line) as UnderlayPath[];
    });
  }

  get paths(): readonly UnderlayPath[] {
    return this.#paths;
  }

  /** How long it took until all of its paths are so. */
  async comesTo(t: Test, wanted: Partial<UnderlayPath>, limitMs: number, name: string): Promise<void> {
    const begun = performance.now();
    const isSo = () =>
      this.#paths.length === 2 &&
      this.#paths.every((path) => Object.entries(wanted).every(([key, value]) => path[key as 'mtu'] === value));
    while (!isSo() && performance.now() - begun < limitMs) await delay(20);
    const took = Math.round(performance.now() - begun);
    t.ok(isSo(), `${name}: after ${took} ms`, { wanted, paths: this.#paths });
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}

function probe(from: Leg): void {
  const [here, there] = from === 'left' ? [HOSTS[0], HOSTS[1]] : [HOSTS[1], HOSTS[0]];
  const paths = underlayPaths({ local: [here.v4, here.v6], log: () => undefined });
  paths.setPeers([there.v4, there.v6].map((address) => ({ id: there.name, address })));
  setInterval(() => process.stdout.write(`${JSON.stringify(paths.paths())}\n`), 50);
}

async function tests(): Promise<void> {
  t.strictSame(networkInterfaces(), {}, 'this is not the network namespace of the machine');
  // Of one machine with much else to do.
  const SOON = 15_000;
  const LATER = 60_000;

  for (const mtu of [1280, 1500, 9000])
    await t.test(`links of ${mtu}, both families`, async (t) => {
      const wire = await Wire.lay(t, mtu);
      const [left, right] = [wire.prober(t, 'left'), wire.prober(t, 'right')];
      await left.comesTo(t, { state: 'reachable', mtu }, SOON, 'one way');
      await right.comesTo(t, { state: 'reachable', mtu }, SOON, 'the other');
      for (const { rttMs, lossRatio } of left.paths) t.ok(rttMs! > 0 && rttMs! < 500 && lossRatio < 0.5);
    });

  await t.test('links that differ, and a router that says nothing', async (t) => {
    const wire = await Wire.lay(t, 9000);
    await wire.setLeg('right', 1372);
    await wire.rules('output icmp type destination-unreachable drop', 'output icmpv6 type packet-too-big drop');
    const [left, right] = [wire.prober(t, 'left'), wire.prober(t, 'right')];
    await left.comesTo(t, { state: 'reachable', mtu: 1372 }, SOON, 'what it drops in silence is found out');
    await right.comesTo(t, { state: 'reachable', mtu: 1372 }, SOON, 'as is what our own link refuses');

    await t.test('and that changes', async (t) => {
      await wire.setLeg('right', 1280);
      await left.comesTo(t, { mtu: 1280 }, SOON, 'less');
      await right.comesTo(t, { mtu: 1280 }, SOON, 'less, the other way');
      await wire.setLeg('right', 8500);
      await left.comesTo(t, { mtu: 8500 }, LATER, 'more');
      await right.comesTo(t, { mtu: 8500 }, LATER, 'more, the other way');
    });
  });

  await t.test('what the router says is not believed', async (t) => {
    const wire = await Wire.lay(t, 1500);
    await wire.setRouter('right', 1400);
    const left = wire.prober(t, 'left');
    const right = wire.prober(t, 'right');
    await right.comesTo(t, { state: 'reachable' }, SOON, 'the other way');
    await left.comesTo(t, { mtu: 1400 }, SOON, 'while it is so');
    await wire.setRouter('right', 1500);
    // The kernel goes by it for ten minutes.
    await left.comesTo(t, { mtu: 1500 }, LATER, 'but no longer');
  });

  await t.test('a way that is cut in one direction', async (t) => {
    const wire = await Wire.lay(t, 1500);
    const [left, right] = [wire.prober(t, 'left'), wire.prober(t, 'right')];
    await left.comesTo(t, { mtu: 1500 }, SOON, 'before');
    await right.comesTo(t, { mtu: 1500 }, SOON, 'before');
    await wire.rules('forward iifname right drop');
    await left.comesTo(t, { state: 'unreachable', mtu: 1500 }, SOON, 'who is not answered');
    await right.comesTo(t, { state: 'unreachable', mtu: 1500 }, SOON, 'who is heard, but not answered either');
    await wire.rules();
    await left.comesTo(t, { state: 'reachable', mtu: 1500 }, LATER, 'there again');
    await right.comesTo(t, { state: 'reachable', mtu: 1500 }, LATER, 'there again');
  });
}

const part = process.env[PART];
if (part) probe(part as Leg);
else await inOwnNamespace(file, tests);
