import tap, { test } from 'tap';
import { ALL_AGREE, checked, createLab, type Host, interfacesOf, pinging, shownBy, startEtcd } from '../src/index.ts';

const lab = await createLab({ hosts: 3 });
tap.teardown(() => lab.dispose());
const [a, b, c] = lab.hosts as [Host, Host, Host];
const etcd = await startEtcd(a);
const launch = async (host: Host) => {
  await host.weave('launch', '--local', '--store', etcd.url, '--underlay', host.ip);
  await host.weave('prime');
};
for (const host of [a, b]) await launch(host);

const run = (host: Host, name: string, ...args: string[]) =>
  host.docker('run', '-d', '--name', name, ...args, 'busybox', 'sleep', '3600');
const addressOf = async (host: Host, name: string, link = 'ethwe0') =>
  (await interfacesOf(host, name))[link]!.addresses[0]!;
const plain = (text: string) => text.split('/')[0]!;
const known = (host: Host, network: string) =>
  host.exec(`until docker network inspect ${network} >/dev/null 2>&1; do sleep 0.1; done`, { timeoutMs: 10_000 });
const pings = async (host: Host, name: string, to: string) =>
  (await host.exec(['docker', 'exec', name, 'ping', '-c1', '-w5', to], { allowFail: true })).stdout.includes(
    ' 1 packets received',
  );

test('a subnet grows while its containers talk, and a ping through it loses nothing', async (t) => {
  const subnets = ['--subnet', '10.9.0.0/28', '--subnet', 'fd00:9::/120', '--ipv6'];
  const way = ['-o', 'works.weave.gateway=weave', '--ipam-driver', 'weave'];
  await a.docker('network', 'create', '-d', 'weave', ...way, ...subnets, 'blue');
  await known(b, 'blue');
  await run(a, 'a1', '--net', 'blue');
  await run(b, 'b1', '--net', 'blue');
  await run(b, 'by-hand', '--net', 'none');
  await b.weave('attach', '--network', 'blue', 'by-hand');
  const six = (await interfacesOf(b, 'b1')).ethwe0!.addresses[1]!;
  const flows = [
    await pinging(a, 'a1', plain(await addressOf(b, 'b1'))),
    await pinging(a, 'a1', plain(six)),
    await pinging(a, 'a1', plain(await addressOf(b, 'by-hand', 'ethwe-blue'))),
    await pinging(b, 'b1', '10.9.0.1'),
    await pinging(b, 'b1', a.ip),
  ];
  t.equal(await b.weave('network', 'grow', 'blue', '10.9.0.0/24'), '10.9.0.0/24 fd00:9::/120');
  await b.weave('network', 'grow', '--json', 'blue', 'fd00:9::/112');
  for (const [host, name, link] of [
    [a, 'a1', 'ethwe0'],
    [b, 'b1', 'ethwe0'],
    [b, 'by-hand', 'ethwe-blue'],
  ] as const) {
    let seen: string[] = [];
    for (let tries = 0; tries < 50 && !seen.join().includes('/112'); tries++)
      seen = (await interfacesOf(host, name))[link]!.addresses;
    t.match(`${seen}`, /^10\.9\.0\.\d+\/24,fd00:9::[0-9a-f]+\/112$/, `${name} has the new prefix lengths`);
  }
  for (const [index, end] of flows.entries()) {
    const { sent, lost } = await end();
    // The kernel has no IPv6 address twice: it goes before it is there with the other prefix length.
    const mayMiss = index === 1 ? 1 : 0;
    t.ok(sent > 10 && lost <= mayMiss, `${lost} of ${sent} pings are lost`);
  }
  for (const host of [a, b]) t.equal(await checked(host), ALL_AGREE);
});

test('engines take addresses that are outside what they recorded', async (t) => {
  const got: string[] = [];
  for (let i = 2; i < 20; i++)
    for (const host of [a, b]) {
      await run(host, `n${i}`, '--net', 'blue');
      got.push(await addressOf(host, `n${i}`));
    }
  t.equal(new Set(got).size, 36, 'more than there were in it');
  t.ok(
    got.every((text) => text.endsWith('/24')),
    got.join(' '),
  );
  const last = got.at(-1)!;
  t.equal((await shownBy(b, 'n19', 'blue')).addresses[0], last, 'the engine shows it');
  t.ok(await pings(a, 'a1', plain(last)), 'it is reached from the other host');
  t.ok(await pings(b, 'n19', a.ip), 'and has a way out');
  const recorded = await b.docker(
    'network',
    'inspect',
    '--format',
    '{{range .IPAM.Config}}{{.Subnet}} {{end}}',
    'blue',
  );
  t.match(recorded, /10\.9\.0\.0\/28/, 'what the engine recorded of the subnet stays');
  const asked = ['docker', 'run', '-d', '--name', 'asked', '--net', 'blue', '--ip', '10.9.0.200', 'busybox', 'true'];
  const refused = await b.exec(asked, { allowFail: true });
  t.match(refused.stderr, /belong|subnet/i, 'by --ip an engine takes only what is in that');
  await b.docker('rm', '-f', 'asked');
  await b.docker('restart', '-t', '0', 'n19');
  t.match(await addressOf(b, 'n19'), /\/24$/, 'started again it has its prefix length at once');
  for (const host of [a, b]) t.equal(await checked(host), ALL_AGREE);
});

test('a host that comes later, and an engine that starts again, know the larger one', async (t) => {
  await launch(c);
  await known(c, 'blue');
  t.match(await c.docker('network', 'inspect', '--format', '{{json .IPAM.Config}}', 'blue'), '10.9.0.0/24');
  await run(c, 'c1', '--net', 'blue');
  t.ok(await pings(c, 'c1', plain(await addressOf(a, 'a1'))));
  await b.dockerd.stop();
  await b.dockerd.start();
  await b.docker('start', 'n19', 'b1');
  t.ok(await pings(b, 'n19', plain(await addressOf(a, 'a1'))), 'after its engine began anew');
  for (const host of lab.hosts) t.equal(await checked(host), ALL_AGREE);
});

test('a daemon that is killed while a subnet grows finishes it', async (t) => {
  const pid = (await a.exec(['pgrep', '-of', 'weave.cjs daemon'])).stdout.trim();
  await a.exec(['kill', '-STOP', pid]);
  await b.weave('network', 'grow', 'blue', '10.9.0.0/23');
  await a.exec(['kill', '-KILL', pid]);
  t.match(await addressOf(a, 'a1'), /\/24$/, 'not yet');
  await launch(a);
  for (let tries = 0; tries < 50 && !(await addressOf(a, 'a1')).endsWith('/23'); tries++);
  t.match(await addressOf(a, 'a1'), /\/23$/);
  t.ok(await pings(a, 'a1', plain(await addressOf(b, 'b1'))));
  for (const host of lab.hosts) t.equal(await checked(host), ALL_AGREE);
});
