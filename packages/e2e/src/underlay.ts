import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { type ExecOptions, type ExecResult, run, start } from './process.ts';

export interface UnderlayOptions {
  /** A /24 for the hosts; default 192.0.2.0/24. */
  ipv4?: string;
  /** A /64 for the hosts; default 2001:db8::/64. */
  ipv6?: string;
  /** Default 1500. */
  mtu?: number;
}

export interface UnderlayAddress {
  ip: string;
  ip6: string;
}

/** The wire between the hosts: one bridge, in a network namespace of its own. */
export class Underlay {
  readonly mtu: number;
  readonly #v4: string;
  readonly #v6: string;
  readonly #holder: ChildProcess;
  #hosts = 0;

  private constructor(holder: ChildProcess, options: UnderlayOptions) {
    this.#holder = holder;
    this.mtu = options.mtu ?? 1500;
    this.#v4 = prefix(options.ipv4 ?? '192.0.2.0/24', /^(\d+\.\d+\.\d+\.)0\/24$/);
    this.#v6 = prefix(options.ipv6 ?? '2001:db8::/64', /^([\da-f:]+::)\/64$/i);
  }

  static async create(options: UnderlayOptions = {}): Promise<Underlay> {
    // The parent's death ends it, so that not even SIGKILL of the test leaves it behind.
    const holder = start(
      ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--net', 'sh', '-c', 'echo ready; exec sleep infinity >/dev/null'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(holder.stdout!, 'data');
    holder.stdout!.destroy();
    holder.unref();
    const underlay = new Underlay(holder, options);
    await underlay.#configure();
    return underlay;
  }

  get pid(): number {
    return this.#holder.pid!;
  }

  /** Runs argv beside the bridge, where every host's port is a link named as the host. */
  exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    return run(['nsenter', `--net=/proc/${this.pid}/ns/net`, ...argv], options, `underlay: ${argv.join(' ')}`);
  }

  /** Plugs the namespace of `pid` into the bridge: there it has eth0, here a port named `name`. */
  async attach(name: string, pid: number): Promise<UnderlayAddress> {
    this.#hosts += 1;
    const n = 10 + this.#hosts;
    if (n > 254) throw new Error('the underlay has room for 244 hosts');
    const address = { ip: `${this.#v4}${n}`, ip6: `${this.#v6}${n}` };
    await this.exec(['ip', '-batch', '-'], {
      stdin: `link add ${name} mtu ${this.mtu} type veth peer name eth0 netns ${pid} mtu ${this.mtu}
        link set ${name} master underlay up`,
    });
    const batch = `link set lo up
      link set eth0 up
      addr add ${address.ip}/24 brd + dev eth0
      addr add ${address.ip6}/64 dev eth0 nodad
      route add default via ${this.#v4}1
      route add ::/0 via ${this.#v6}1`;
    await run(['nsenter', `--net=/proc/${pid}/ns/net`, 'ip', '-batch', '-'], { stdin: batch }, `${name}: underlay`);
    return address;
  }

  async #configure(): Promise<void> {
    await this.exec(['ip', '-batch', '-'], {
      stdin: `link set lo up
        link add underlay mtu ${this.mtu} type bridge forward_delay 0 mcast_snooping 0
        addr add ${this.#v4}1/24 dev underlay
        addr add ${this.#v6}1/64 dev underlay nodad
        link set underlay up`,
    });
  }
}

function prefix(cidr: string, shape: RegExp): string {
  const match = shape.exec(cidr);
  if (!match) throw new Error(`not an underlay that the lab can number: ${cidr}`);
  return match[1]!;
}
