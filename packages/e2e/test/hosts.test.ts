import tap, { type Test, test } from 'tap';
import { ALL_AGREE, checked, createLab, type Host, startEtcd } from '../src/index.ts';

const lab = await createLab({ hosts: 3 });
tap.teardown(() => lab.dispose());
const [a, b, c] = lab.hosts as [Host, Host, Host];
const etcd = await startEtcd(a);
for (const host of lab.hosts)
  await host.weave('launch', '--local', '--store', etcd.url, '--underlay', host.ip, '--log-level', 'debug');
for (const host of lab.hosts) await host.weave('prime');

const bare = (host: Host, name: string, ...args: string[]) =>
  host.docker('run', '-d', '--name', name, ...args, 'busybox', 'sleep', '3600');
const inside = async (host: Host, container: string, command: string) =>
  (await host.exec(['docker', 'exec', container, 'sh', '-c', command], { allowFail: true })).stdout.trim();
const addressesOf = async (host: Host, container: string, link: string) =>
  (await inside(host, container, `ip -o addr show dev ${link} scope global | awk '{print $4}'`))
    .split('\n')
    .map((text) => text.split('/')[0]!);

async function until(what: string, holds: () => Promise<boolean>, ms = 5000): Promise<number> {
  const begun = performance.now();
  while (!(await holds())) if (performance.now() - begun > ms) throw new Error(`not so after ${ms} ms: ${what}`);
  return performance.now() - begun;
}

async function reaches(t: Test, host: Host, from: string, to: string) {
  const heard = async () => (await inside(host, from, `ping -c1 -W1 ${to}`)).includes('1 packets received');
  await until(`${from} reaches ${to}`, heard);
  t.pass(`${from} reaches ${to}`);
}

test('weave attach: containers of three hosts talk', async (t) => {
  const got: Record<string, string> = {};
  for (const host of lab.hosts) {
    await bare(host, `web-${host.name}`, '--net', 'none');
    got[host.name] = await host.weave('attach', `web-${host.name}`);
  }
  t.equal(new Set(Object.values(got)).size, 3, 'each has other addresses');
  for (const from of lab.hosts)
    for (const to of lab.hosts)
      if (from !== to)
        for (const address of got[to.name]!.split(' ')) await reaches(t, from, `web-${from.name}`, address);
  for (const host of lab.hosts) t.equal(await checked(host), ALL_AGREE);
});

test('docker network create on one host, docker run on all', async (t) => {
  await a.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', 'blue');
  for (const host of [b, c]) {
    const has = async () => (await host.docker('network', 'ls', '--format', '{{.Name}}')).split('\n').includes('blue');
    const ms = await until(`blue is on ${host.name}`, has);
    t.comment(`seen: a network is known on another host after ${Math.round(ms)} ms`);
  }
  const got: string[] = [];
  for (const host of lab.hosts) {
    await bare(host, `blue-${host.name}`, '--net', 'blue');
    got.push((await addressesOf(host, `blue-${host.name}`, 'ethwe0'))[0]!);
  }
  t.equal(new Set(got).size, 3, `each has another address: ${got.join(' ')}`);
  for (const [i, host] of lab.hosts.entries())
    for (const [j, address] of got.entries()) if (i !== j) await reaches(t, host, `blue-${host.name}`, address);
  const refused = await b.exec(['weave', 'network', 'rm', 'blue'], { allowFail: true });
  t.match(refused.stderr, /network blue is in use by .*blue-h1 on host/);
  for (const host of lab.hosts) await host.docker('rm', '-f', `blue-${host.name}`);
  await b.docker('network', 'rm', 'blue');
  for (const host of lab.hosts)
    await until(
      `blue is gone from ${host.name}`,
      async () => !(await host.docker('network', 'ls', '--format', '{{.Name}}')).split('\n').includes('blue'),
    );
  for (const host of lab.hosts) t.equal(await checked(host), ALL_AGREE);
});

test('without etcd running containers talk, and containers start', async (t) => {
  await etcd.kill();
  await bare(b, 'late', '--net', 'none');
  const address = await b.weave('attach', 'late');
  t.match(address, /^10\.32\./);
  await reaches(t, b, 'web-h2', (await a.weave('ps', 'web-h1')).split(' ')[2]!.split('/')[0]!);
  t.match(await b.weave('status'), /does not answer/);
  await etcd.start();
  await reaches(t, a, 'web-h1', address.split(' ')[0]!);
  for (const host of lab.hosts) t.equal(await checked(host), ALL_AGREE);
});
