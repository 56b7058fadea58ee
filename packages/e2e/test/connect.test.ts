import tap, { type Test, test } from 'tap';
import { ALL_AGREE, checked, createLab, type Host, killDaemon } from '../src/index.ts';

const lab = await createLab({ hosts: 3 });
tap.teardown(() => lab.dispose());
const [a, b, c] = lab.hosts as [Host, Host, Host];

const inside = async (host: Host, container: string, command: string) =>
  (await host.exec(['docker', 'exec', container, 'sh', '-c', command], { allowFail: true })).stdout.trim();

async function web(host: Host): Promise<string> {
  await host.docker('run', '-d', '--name', 'web', '--net', 'none', 'busybox', 'sleep', '3600');
  return (await host.weave('attach', 'web')).split(' ')[0]!;
}

async function firstPing(t: Test, host: Host, to: string): Promise<number> {
  const begun = performance.now();
  while (!(await inside(host, 'web', `ping -c1 -W1 ${to}`)).includes('1 packets received'))
    if (performance.now() - begun > 20_000) throw new Error(`${host.name} does not reach ${to}`);
  t.pass(`${host.name} reaches ${to}`);
  return performance.now() - begun;
}

test('launch, launch HOST, connect: one network and nothing set up', async (t) => {
  const launched = await a.exec(['weave', 'launch', '--local', '--log-level', 'debug']);
  t.match(launched.stderr, /No password is set: .* port 6783/, 'a host that is alone is open too, and says so');
  const onA = await web(a);
  t.equal(onA, '10.32.0.1', 'a host that is alone has it all');
  await b.weave('launch', '--local', a.ip);
  await b.weave('prime');
  const onB = await web(b);
  t.not(onB, onA);
  await firstPing(t, b, onA);
  await firstPing(t, a, onB);

  await c.weave('launch', '--local');
  const begun = performance.now();
  await c.weave('connect', a.ip);
  await c.weave('prime');
  const onC = await web(c);
  await firstPing(t, c, onB);
  t.comment(`seen: a third host joins, to its first ping of another: ${Math.round(performance.now() - begun)} ms`);
  await firstPing(t, a, onC);
  t.match(await c.weave('status', 'targets'), a.ip);
  t.match(await a.weave('status', 'peers'), /\(h2\)$/m);
  t.match(await a.weave('status', 'connections'), /established fastdp .*\(h2\) mtu=1500/);
  t.match(await a.weave('status', 'ipam'), /^[0-9a-f]{32}\(h1\) +\d+ IPs \(\d\d\.\d% of total\) \(1 active\)\n/);
  t.match(await a.weave('status'), /no password is set/);
  for (const host of lab.hosts) t.equal(await checked(host), ALL_AGREE);
});

test('a network made on one host is on all', async (t) => {
  await b.weave('network', 'create', 'green', '--subnet', '10.77.0.0/24');
  for (const host of lab.hosts) {
    await host.exec('until docker network inspect green >/dev/null 2>&1; do sleep 0.1; done', { timeoutMs: 5000 });
    await host.docker('run', '-d', '--name', 'green', '--net', 'green', 'busybox', 'sleep', '3600');
  }
  const addresses = await Promise.all(
    lab.hosts.map((host) => inside(host, 'green', "ip -o -4 addr show ethwe0 | awk '{print $4}' | cut -d/ -f1")),
  );
  t.equal(new Set(addresses).size, 3, addresses.join(' '));
});

test('the first host dies: the others go on, and it comes back', async (t) => {
  const pid = (await a.exec('cat /proc/$(pgrep -f "weave.cjs daemon" | head -1)/stat | cut -d" " -f1')).stdout.trim();
  await a.exec(`kill -KILL ${pid}; pkill -KILL -x etcd || true`, { allowFail: true });
  await b.docker('run', '-d', '--name', 'late', '--net', 'none', 'busybox', 'sleep', '3600');
  t.match(await b.weave('attach', 'late'), /^10\.32\./, 'from its own addresses');
  await a.weave('launch', '--local');
  await a.weave('prime');
  for (const host of lab.hosts) t.equal(await checked(host), ALL_AGREE);
});

test('reset leaves nothing of a cluster either', async (t) => {
  for (const host of [c, b]) {
    await host.weave('reset');
    t.equal(await keptBy(host), '', 'where the others are told');
  }
  await a.exec('until pgrep -x etcd; do sleep 0.1; done', { timeoutMs: 30_000 });
  await killDaemon(a);
  t.match(await keptBy(a), /\/cluster\/.* etcd/s, 'the store goes on without its daemon');
  await a.weave('reset', '--force');
  t.equal(await keptBy(a), '', 'and where there is nobody to tell');
});

const keptBy = async (host: Host) =>
  (
    await host.exec(`find /var/lib/weave ! -type d ! -path '*/wait/*'; pgrep etcd >/dev/null && echo etcd`, {
      allowFail: true,
    })
  ).stdout
    .replaceAll('\n', ' ')
    .trim();
