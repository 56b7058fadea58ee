import { writeFileSync } from 'node:fs';
import tap, { test } from 'tap';
import { createLab, resolves } from '../src/index.ts';

const lab = await createLab({ hosts: 1 });
const host = lab.hosts[0]!;
tap.teardown(() => lab.dispose());
await host.weave('launch', '--local');

const COMPOSE = `
version: "2.4"
services:
  front:
    image: busybox
    command: sleep 3600
    networks: { app: { aliases: [www] } }
    dns: [169.254.53.53]
    dns_search: [weave.local]
  back:
    image: busybox
    command: sleep 3600
    networks: { app: { aliases: [api, data] } }
    dns: [169.254.53.53]
    dns_search: [weave.local]
networks:
  app:
    driver: weave
    ipam: { driver: weave }
`;
writeFileSync(host.path('/run/docker-compose.yml'), COMPOSE);
const compose = (...words: string[]) =>
  host.exec(['docker-compose', '-p', 'shop', '-f', '/run/docker-compose.yml', ...words], { timeoutMs: 120_000 });
const inside = async (container: string, command: string) =>
  (await host.exec(['docker', 'exec', container, 'sh', '-c', command], { allowFail: true })).stdout.trim();

test('services and aliases of a Compose file', async (t) => {
  await compose('up', '-d');
  const [front, back] = (await host.docker('ps', '--format', '{{.Names}}', '--filter', 'name=shop'))
    .split('\n')
    .sort()
    .reverse();
  const addressOf = async (container: string) =>
    (
      await host.docker('inspect', '--format', '{{(index .NetworkSettings.Networks "shop_app").IPAddress}}', container)
    ).trim();
  const [ofFront, ofBack] = [await addressOf(front!), await addressOf(back!)];
  for (const name of ['back', 'api', 'data', back!])
    t.same((await resolves(host, front!, `${name}.weave.local`, [ofBack])).got, [ofBack], name);
  for (const name of ['front', 'www', front!])
    t.same((await resolves(host, back!, `${name}.weave.local`, [ofFront])).got, [ofFront], name);
  t.match(await inside(front!, 'ping -c1 -W2 api'), '1 packets received', 'by its short name');
  t.match(await inside(back!, 'ping -c1 -W2 www.weave.local'), '1 packets received', 'and in full');

  await compose('up', '-d', '--scale', 'back=3');
  const all = (await host.docker('ps', '-q', '--filter', 'label=com.docker.compose.service=back')).split('\n');
  const want = await Promise.all(all.map(addressOf));
  t.equal(want.length, 3);
  t.same((await resolves(host, front!, 'api.weave.local', want)).got, want.sort(), 'three of one service');
  await compose('down', '-t', '0');
  t.equal(await host.weave('status', 'dns'), '', 'none is left');
  t.same(await host.weave('dns-lookup', 'api'), '');
});

test('without --dns, where the engine is told of it for all', async (t) => {
  await host.dockerd.stop();
  await host.dockerd.start({ args: ['--dns', '169.254.53.53', '--dns-search', 'weave.local'] });
  await host.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', 'blue');
  for (const name of ['one', 'two'])
    await host.docker('run', '-d', '--name', name, '--net', 'blue', 'busybox', 'sleep', '3600');
  const address = (
    await host.docker('inspect', '--format', '{{.NetworkSettings.Networks.blue.IPAddress}}', 'two')
  ).trim();
  // An engine that has just begun is heard within a second.
  t.same((await resolves(host, 'one', 'two.weave.local', [address])).got, [address]);
  t.match(await inside('one', 'nslookup two.weave.local'), `Address: ${address}`, 'by the engine’s own DNS');
  t.match(await inside('one', 'ping -c1 -W2 two'), '1 packets received');
});
