import tap, { test } from 'tap';
import {
  ALL_AGREE,
  checked,
  createLab,
  DNS,
  dig,
  type Host,
  resolves,
  soonNamed,
  spread,
  startEtcd,
  within,
} from '../src/index.ts';

const lab = await createLab({ hosts: 3 });
tap.teardown(() => lab.dispose());
const [a, b, c] = lab.hosts as [Host, Host, Host];
const etcd = await startEtcd(c);
const launch = (host: Host) =>
  host.weave('launch', '--local', '--store', etcd.url, '--underlay', host.ip, '--log-level', 'debug');
for (const host of lab.hosts) await launch(host);
for (const host of lab.hosts) await host.weave('prime');
const args = (await a.weave('dns-args')).split(' ');
await a.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', 'blue');
for (const host of [b, c])
  await host.exec('until docker network inspect blue >/dev/null 2>&1; do sleep 0.1; done', { timeoutMs: 10_000 });

const run = (host: Host, name: string, ...options: string[]) =>
  host.docker('run', '-d', '--name', name, '--net', 'blue', ...args, ...options, 'busybox', 'sleep', '3600');
/** IPv4, as the host itself knows it. */
const addressOf = async (host: Host, name: string) => (await host.weave('dns-lookup', name)).split('\n')[0]!;
const inside = async (host: Host, container: string, command: string) =>
  (await host.exec(['docker', 'exec', container, 'sh', '-c', command], { allowFail: true })).stdout.trim();

test('names of three hosts, and one that all three have', async (t) => {
  const got: string[] = [];
  for (const host of lab.hosts) {
    await run(host, `web-${host.name}`, '--network-alias', 'web');
    got.push(await addressOf(host, `web-${host.name}`));
  }
  for (const host of lab.hosts) {
    const from = `web-${host.name}`;
    t.same((await resolves(host, from, 'web.weave.local', got)).got, [...got].sort(), `all of them, from ${host.name}`);
    for (const [i, other] of lab.hosts.entries())
      t.same(await dig(host, from, `web-${other.name}.weave.local`), [got[i]], `${other.name} from ${host.name}`);
    t.match(await inside(host, from, 'ping -4 -c1 -W2 web-h1'), '1 packets received', 'and what it says is reached');
  }
  await a.weave('dns-add', '192.0.2.77', '-h', 'printer');
  t.same((await resolves(b, 'web-h2', 'printer.weave.local', ['192.0.2.77'])).got, ['192.0.2.77'], 'given by hand');
  await a.weave('dns-remove', '192.0.2.77');
  t.same((await resolves(b, 'web-h2', 'printer.weave.local', [])).got, []);
});

test('five times killed and started again', async (t) => {
  for (let n = 0; n < 5; n++) {
    await a.docker('kill', 'web-h1');
    t.same((await resolves(b, 'web-h2', 'web-h1.weave.local', [], 1000)).got, []);
    await a.docker('start', 'web-h1');
    const address = await addressOf(a, 'web-h1');
    t.same((await resolves(b, 'web-h2', 'web-h1.weave.local', [address], 1000)).got, [address]);
  }
});

test('the DNS is each host’s own: nothing of it is on the wire between them', async (t) => {
  const capture = a.spawn(['tcpdump', '-i', 'any', '-l', '-n', '-nn', 'udp', 'port', '4789'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let seen = '';
  capture.stdout!.on('data', (chunk) => (seen += chunk));
  await new Promise<void>((resolve) =>
    capture.stderr!.on('data', (said) => `${said}`.includes('listening') && resolve()),
  );
  for (const host of [a, b]) {
    const from = `web-${host.name}`;
    await inside(host, from, `arping -c2 -w3 -I ethwe0 ${DNS} 2>&1; ping -c2 ${DNS}; nslookup nobody.weave.local`);
    // Whom nobody has heard of the bridge has to ask for by itself.
    const mac = await within(host, from, `ip neigh show ${DNS} | cut -d' ' -f5`);
    const fixed = `ip neigh replace ${DNS} lladdr ${mac} dev ethwe0 nud permanent`;
    await within(host, from, `${fixed}; ip addr add 10.64.31.200/32 dev ethwe0; ping -c2 -W1 -I 10.64.31.200 ${DNS}`);
  }
  await inside(a, 'web-h1', 'ping -c2 -W2 web-h2');
  await new Promise((resolve) => setTimeout(resolve, 500));
  capture.kill('SIGINT');
  t.match(seen, /VXLAN/, 'there are frames of containers');
  t.notMatch(seen, new RegExp(DNS.replaceAll('.', '\\.')), 'and none of the DNS');
  const log = await a.exec('dmesg 2>/dev/null | tail -50', { allowFail: true });
  t.notMatch(log.stdout, /own address as source/);
});

test('how soon another host’s containers know a name', async (t) => {
  const took = await soonNamed(b, 'blue', a, 'web-h1');
  t.comment(`seen: the name is on the other host after its start: ${spread(took)}`);
  t.ok(took.at(-1)! < 2000);
});

test('without the store what is known resolves; a host that is gone has no names after 15 s', async (t) => {
  const address = await addressOf(b, 'web-h2');
  await etcd.kill();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  t.same(await dig(a, 'web-h1', 'web-h2.weave.local'), [address]);
  await etcd.start();
  t.equal(await checked(a), ALL_AGREE);
  process.kill(b.pid, 'SIGKILL');
  const { got, took } = await resolves(a, 'web-h1', 'web-h2.weave.local', [], 15_000);
  t.same(got, []);
  t.comment(`seen: the names of a host were gone ${Math.round(took / 100) / 10} s after it`);
  t.same(await dig(a, 'web-h1', 'web-h1.weave.local'), [await addressOf(a, 'web-h1')], 'its own are there');
});
