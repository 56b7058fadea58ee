import tap, { test } from 'tap';
import { ALL_AGREE, checked, createLab, killDaemon, pinging, settled, switchLinks, witness } from '../src/index.ts';

const lab = await createLab({ hosts: 1 });
const host = lab.hosts[0]!;
tap.teardown(() => lab.dispose());
await host.weave('launch', '--local');

const network = (name: string, ...args: string[]) =>
  host.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', ...args, name);
const run = (name: string, net: string, ...args: string[]) =>
  host.docker('run', '-d', '--name', name, '--net', net, ...args, 'busybox', 'sleep', '3600');
const seen = async () => ({ ...(await witness(host)), switch: await switchLinks(host) });
const serving = ['busybox', 'sh', '-c', 'mkdir /w && echo here >/w/index.html && httpd -f -p 80 -h /w'];

test('the store is deleted while everything runs', async (t) => {
  const empty = await switchLinks(host);
  const subnets = ['--ipv6', '--subnet', '10.52.0.0/24', '--subnet', 'fd00:52::/64'];
  await network('out', ...subnets, '-o', 'works.weave.gateway=weave');
  await host.docker('run', '-d', '--name', 'web', '--net', 'out', '-p', '8086:80', '-p', '80', ...serving);
  await run('db', 'out');
  await host.docker('network', 'create', '-d', 'weave', '--subnet', '10.53.0.0/24', 'plain');
  await host.docker('network', 'connect', 'plain', 'db');
  for (const name of ['n1', 'n2']) {
    await run(name, 'none');
    await host.weave('attach', `10.2.1.${name[1]}/24`, name);
  }
  const ports = async () => /"hostPort": (\d+)(?![\s\S]*"hostPort")/.exec(await host.weave('ps', '--json', 'web'))?.[1];
  const records = async () => [await host.weave('network', 'ls'), await host.weave('ps')].map(sorted);
  await settled(async () => (await records()).join().includes('web'), true);
  const before = { ...(await seen()), records: await records() };
  const dynamic = await ports();
  const flows = await Promise.all([
    pinging(host, 'web', '10.52.0.3'),
    pinging(host, 'web', '192.0.2.1'),
    pinging(host, 'db', 'fd00:52::2'),
    pinging(host, 'n1', '10.2.1.2'),
  ]);
  await killDaemon(host);
  await host.exec('rm /var/lib/weave/weave.db*');
  await host.weave('launch', '--local');
  const now = async () => ({ ...(await seen()), records: await records() });
  t.strictSame(await settled(now, before), before, 'kernel and records are what they were');
  t.equal(await checked(host), ALL_AGREE);
  for (const flow of flows) {
    const { sent, lost } = await flow();
    t.ok(sent > 10 && lost === 0, `meanwhile ${lost} of ${sent} pings are lost`);
  }
  for (const port of ['8086', dynamic])
    t.match((await host.exec(`curl -sm3 http://127.0.0.1:${port}/`)).stdout, 'here', `port ${port} is still published`);
  await network('again', '--subnet', '10.54.0.0/24');
  await run('late', 'out', '--ip', '10.52.0.4');
  await host.docker('rm', '-f', 'web', 'db', 'n1', 'n2', 'late');
  await host.docker('network', 'rm', 'out', 'plain', 'again');
  t.strictSame(await settled(() => switchLinks(host), empty), empty, 'and all of it can be removed as ever');
});

const sorted = (text: string) => text.split('\n').sort().join('\n');
