import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'tap';
import { createLab, type Host } from '../src/index.ts';

/** Whose labs are looked for: other tests may have theirs on this machine. */
const owners = [process.pid];

test('two hosts with an engine each', async (t) => {
  const before = traces();
  const began = Date.now();
  const lab = await createLab({ hosts: 2 });
  t.teardown(() => lab.dispose());
  const [a, b] = lab.hosts as [Host, Host];
  t.comment(`ready in ${Date.now() - began} ms`);
  t.strictNotSame(traces(), before, 'the traces do show a lab');

  await t.test('are machines of their own', async (t) => {
    t.equal((await a.exec('hostname')).stdout, 'h1\n');
    t.equal((await a.exec(['readlink', '/proc/1/exe'])).stdout.trim(), readlinkSync(`/proc/${a.pid}/exe`));
    t.strictSame(Object.keys((await links(a)) as object).sort(), ['docker0', 'eth0', 'lo']);
    t.strictSame((await a.exec('ls /sys/class/net')).stdout.split(/\s+/).filter(Boolean), ['docker0', 'eth0', 'lo']);
    await a.exec('echo nameserver 192.0.2.53 >/etc/new && mv /etc/new /etc/resolv.conf && touch /var/lib/weave/mark');
    t.equal((await b.exec('cat /etc/resolv.conf; ls /var/lib/weave')).stdout, '');
  });

  await t.test('reach each other over IPv4 and IPv6', async (t) => {
    await t.resolves(a.exec(['ping', '-c1', '-W2', b.ip]));
    await t.resolves(b.exec(['ping', '-c1', '-W2', a.ip]));
    await t.resolves(a.exec(['ping', '-c1', '-W2', b.ip6]));
    await t.resolves(b.exec(['ping', '-c1', '-W2', a.ip6]));
  });

  await t.test('run containers on their bridge network', async (t) => {
    for (const host of [a, b]) {
      await host.docker('run', '-d', '--name', `c-${host.name}`, 'busybox', 'sleep', '600');
      const gateway = await host.docker('run', '--rm', 'busybox', 'ping', '-c1', '-W2', '172.17.0.1');
      t.match(gateway, '1 packets received');
    }
    t.equal(await a.docker('ps', '--format', '{{.Names}}'), 'c-h1');
    t.equal(await b.docker('ps', '--format', '{{.Names}}'), 'c-h2');
    t.match(await a.docker('run', '--rm', 'busybox', 'ping', '-c1', '-W2', b.ip), '1 packets received', 'NAT outwards');
    const init = await a.docker('run', '--rm', '--pid=host', 'busybox', 'cat', '/proc/1/cmdline');
    t.match(init, 'sleep', "--pid=host is the host's");
  });

  await t.test('engine stops, starts and says what it did', async (t) => {
    const first = a.dockerd.pid;
    t.match(readFileSync(`/proc/${first}/cmdline`, 'utf8'), /^dockerd/);
    await a.dockerd.stop();
    t.equal(a.dockerd.pid, undefined);
    await t.rejects(a.docker('ps'), /Cannot connect/);
    await a.dockerd.start({ args: ['--label=lab=yes'] });
    await a.dockerd.restart('SIGKILL');
    t.equal(await a.docker('info', '--format', '{{.Labels}}'), '[lab=yes]', 'arguments are kept');
    t.match(a.dockerd.log(), 'API listen on /var/run/docker.sock');
  });

  await t.test('mounts spread as on a systemd host', async (t) => {
    await a.exec('mkdir -p /run/m/in');
    await a.docker('run', '-d', '--name', 'spread', '-v', '/run/m:/m:rshared', 'busybox', 'sleep', '600');
    await a.exec('mount -t tmpfs marker /run/m/in');
    t.match(await a.docker('exec', 'spread', 'cat', '/proc/mounts'), 'marker /m/in');
  });

  await lab.dispose();
  t.strictSame(await settled(before), before, 'nothing is left');
});

test('exec and spawn', async (t) => {
  await using lab = await createLab({ hosts: 1, docker: false });
  const host = lab.hosts[0]!;
  t.equal((await host.exec(['cat'], { stdin: 'in' })).stdout, 'in');
  t.equal((await host.exec('echo $MARK', { env: { MARK: 'x' } })).stdout, 'x\n');
  t.match(await host.exec('echo out; echo err >&2; exit 3', { allowFail: true }), {
    code: 3,
    stdout: 'out',
    stderr: 'err',
  });
  await t.rejects(host.exec('echo out; echo err >&2; exit 3'), /exited with 3[\s\S]*out[\s\S]*err/);
  await t.rejects(host.exec('sleep 60 & sleep 60', { timeoutMs: 200 }), /did not end within 200 ms/);
  t.notMatch((await host.exec('ps -ef')).stdout, 'sleep 60', 'a timeout ends all that the command started');
  t.match(await host.json('ip -j addr show eth0'), [{ addr_info: [{ local: host.ip }] }]);

  const child = host.spawn(['sh', '-c', 'trap "echo term; exit 7" TERM; echo up; while :; do sleep 0.1; done']);
  const said: string[] = [];
  child.stdout!.on('data', (chunk) => said.push(String(chunk)));
  await once(child.stdout!, 'data');
  child.kill('SIGTERM');
  t.equal((await once(child, 'close'))[0], 7);
  t.equal(said.join(''), 'up\nterm\n');
});

test('iptables is what the host asks for', async (t) => {
  await using lab = await createLab({ hosts: [{ iptables: 'nft' }, { iptables: 'legacy', name: 'old' }] });
  const [nft, legacy] = lab.hosts as [Host, Host];
  t.match((await nft.exec('iptables --version; ip6tables --version')).stdout, /nf_tables[\s\S]*nf_tables/);
  t.match((await legacy.exec('iptables --version; ip6tables --version')).stdout, /legacy[\s\S]*legacy/);
  t.match((await nft.exec('nft list ruleset')).stdout, 'DOCKER-USER');
  t.equal((await legacy.exec('nft list ruleset')).stdout, '', 'its rules are not in nft');
  t.match((await legacy.exec('iptables -S')).stdout, 'DOCKER-USER');
  await legacy.docker('run', '--rm', '-p', '8080:80', 'busybox', 'true');
});

test('two labs at the same time', async (t) => {
  const before = traces();
  const [one, two] = await Promise.all([createLab({ hosts: 1 }), createLab({ hosts: 1, underlay: { mtu: 9000 } })]);
  t.equal(one.hosts[0]!.ip, two.hosts[0]!.ip, 'they may have the same addresses');
  await Promise.all(
    [one, two].map((lab) => lab.hosts[0]!.docker('run', '-d', '--name', 'one', 'busybox', 'sleep', '60')),
  );
  await one.dispose();
  t.equal(await two.hosts[0]!.docker('ps', '--format', '{{.Names}}'), 'one', 'one goes, the other stays');
  t.match(await two.hosts[0]!.json('ip -j link show eth0'), [{ mtu: 9000 }]);
  await two.dispose();
  await two.dispose();
  t.strictSame(await settled(before), before);
});

test('a lab that fails to start leaves nothing', async (t) => {
  const before = traces();
  await t.rejects(createLab({ hosts: [{}, { dockerArgs: ['--no-such-option'] }] }), /no-such-option/);
  t.strictSame(await settled(before), before);
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
  test(`the death of its process by ${signal} ends a lab`, async (t) => {
    const index = new URL('../src/index.ts', import.meta.url).href;
    const source = `
      import { createLab } from ${JSON.stringify(index)};
      const lab = await createLab({ hosts: 1 });
      await lab.hosts[0].docker('run', '-d', 'busybox', 'sleep', '600');
      console.log('up');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    owners.push(child.pid!);
    const before = { ...traces(), processes: [], dirs: [], cgroups: [] };
    await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
    t.not(traces().dirs.length, 0, 'it has a lab');
    child.kill(signal);
    await once(child, 'close');
    if (signal === 'SIGKILL') await (await createLab()).dispose();
    t.strictSame(await settled(before), before);
  });
}

async function links(host: Host): Promise<Record<string, unknown>> {
  const all = (await host.json('ip -j link')) as { ifname: string }[];
  return Object.fromEntries(all.map((link) => [link.ifname, link]));
}

/** All that a lab could leave on the machine. */
function traces() {
  const mine = (name: string) => owners.some((pid) => name.startsWith(`weave-lab-${pid}-`));
  const cgroups = readdirSync('/sys/fs/cgroup', { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => readdirSync(`/sys/fs/cgroup/${entry.name}`).filter(mine));
  return {
    links: readdirSync('/sys/class/net'),
    mounts: readFileSync('/proc/self/mounts', 'latin1').split('\n').filter(isOfLab),
    processes: processes(),
    dirs: readdirSync('/var/tmp').filter(mine),
    cgroups,
  };
}

/** A mount that a lab makes has `lab` for its source, or is below its directory. */
function isOfLab(mount: string): boolean {
  return /^lab |\/weave-lab-/.test(mount);
}

function processes(): string[] {
  const names: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
      if (!owners.some((owner) => environment.includes(`WEAVE_LAB_OWNER=${owner}`))) continue;
      names.push(readFileSync(`/proc/${pid}/comm`, 'latin1').trim());
    } catch {} // it has just ended
  }
  return names.sort();
}

/** What is left once the kernel has ended what was killed. */
async function settled(expected: ReturnType<typeof traces>) {
  const deadline = Date.now() + 3000;
  while (JSON.stringify(traces()) !== JSON.stringify(expected) && Date.now() < deadline) await sleep(20);
  return traces();
}
