// What the machine must have besides Node, npm, Rust, gcc and git.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { installed } from './environment.mjs';
import { StepFailed, step } from './step.mjs';

/** A package is wanted when one of its commands is missing; another package that brings them, such as docker-ce, will do. */
const needs = [
  {
    name: 'docker.io',
    commands: ['dockerd', 'docker', 'docker-init'],
    why: 'the engine whose containers Weave connects',
  },
  { name: 'nftables', commands: ['nft'], why: 'Weave writes its firewall table with it' },
  { name: 'iptables', commands: ['iptables', 'iptables-legacy'], why: 'Docker writes its own rules with it' },
  { name: 'iproute2', commands: ['ip', 'bridge'], why: 'tests look at links, addresses and routes with it' },
  {
    name: 'busybox-static',
    files: ['/usr/share/doc/busybox-static'],
    why: 'the container image, as there may be no registry',
  },
  { name: 'iputils-ping', commands: ['ping'], why: 'tests send packets with it' },
  { name: 'etcd-server', commands: ['etcd'], why: 'the directory that hosts share; tests run real ones' },
  { name: 'openssl', commands: ['openssl'], why: 'tests make certificates with it' },
  { name: 'tcpdump', commands: ['tcpdump'], why: 'tests look at packets on the wire with it' },
  { name: 'valgrind', commands: ['valgrind'], why: 'tests count the instructions of an attach with it' },
  { name: 'tmux', commands: ['tmux'], why: 'tests type into a terminal with it' },
  { name: 'curl', commands: ['curl'], why: 'tests ask the HTTP API with it, as scripts do' },
  { name: 'zsh', commands: ['zsh'], why: 'tests complete words in it' },
  { name: 'fish', commands: ['fish'], why: 'tests complete words in it' },
  { name: 'docker-compose', commands: ['docker-compose'], why: 'tests start the services of a file with it' },
  { name: 'musl-tools', commands: ['musl-gcc'], why: 'tests look names up as programs of Alpine do' },
  { name: 'bind9-dnsutils', commands: ['dig'], why: 'tests ask for names with it' },
  { name: 'procps', commands: ['ps', 'sysctl'], why: 'tests look at processes and kernel settings with it' },
];
/** What only the benchmarks compare with. */
const rivals = [
  { name: 'containernetworking-plugins', files: ['/usr/lib/cni/bridge'], why: 'the benchmark compares with CNI' },
  { name: 'iperf3', commands: ['iperf3'], why: 'the benchmark measures throughput with it' },
  { name: 'dnsmasq-base', commands: ['dnsmasq'], why: 'the benchmark compares with it' },
  { name: 'dnsperf', commands: ['dnsperf'], why: 'the benchmark asks for names with it' },
  { name: 'netavark', files: ['/usr/lib/podman/netavark'], why: 'the benchmark compares with Podman' },
];
const policy = '/usr/sbin/policy-rc.d';

export const installRivals = () => installDebianPackages([...needs, ...rivals]);

export async function installDebianPackages(wanted = needs) {
  const missing = wanted.filter(
    ({ commands = [], files = [] }) => !commands.every(installed) || !files.every(existsSync),
  );
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name);
  if (!installed('apt-get')) throw new StepFailed(unavailable(missing));
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await step('updating the list of Debian packages', ['apt-get', 'update', '-q'], { env });
  await withoutStartingServices(() =>
    step(
      `installing ${names.join(', ')}`,
      ['apt-get', 'install', '-q', '--yes', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', ...names],
      { env },
    ),
  );
}

/** An engine that starts on installation would change the machine's network before we were asked to. */
async function withoutStartingServices(install) {
  if (existsSync(policy)) return install();
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return await install();
  } finally {
    rmSync(policy);
  }
}

function unavailable(missing) {
  const lines = missing.map(({ name, why }) => `  ${name.padEnd(16)} ${why}`);
  return `This machine has no apt-get. Install what these Debian packages bring, then try again:\n${lines.join('\n')}`;
}

export function requireRoot(why) {
  if (process.getuid() === 0) return;
  const rerun = `sudo --preserve-env=PATH npm ${process.env.npm_lifecycle_event === 'test' ? 'test' : `run ${process.env.npm_lifecycle_event ?? 'test'}`}`;
  throw new StepFailed(`This needs root: ${why}. Run: ${rerun}`);
}

/** Rust is the one tool that we do not install. */
export function requireRust() {
  if (installed('cargo') && spawnSync('cc', ['--version']).status === 0) return;
  throw new StepFailed(
    'The native addon is built with Rust and a C linker: install https://rustup.rs and gcc, then try again.',
  );
}
