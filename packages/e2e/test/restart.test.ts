import { setTimeout as sleep } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import {
  ALL_AGREE,
  checked,
  createLab,
  interfacesOf,
  interpose,
  killDaemon,
  pinging,
  quiet,
  settled,
  shownBy,
  startDaemon,
  switchLinks,
  witness,
} from '../src/index.ts';

const lab = await createLab({ hosts: 1 });
const host = lab.hosts[0]!;
tap.teardown(() => lab.dispose());

const at = '/run/docker/plugins/weave.sock';
const to = '/run/weave-plugins/weave.sock';
/** What the daemon asks the engine as it starts is answered by then. */
const LOOK_MS = 100;
/** They ask for constants, or for nothing. */
const STATELESS = /Activate|Capabilities|AddressSpaces|OperInfo/;

const network = (name: string, ...args: string[]) =>
  host.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', ...args, name);
const run = (name: string, net: string, ...args: string[]) =>
  host.docker('run', '-d', '--name', name, '--net', net, ...args, 'busybox', 'sleep', '3600');
const seen = async () => ({ ...(await witness(host)), switch: await switchLinks(host) });

/** The interface that the engine shows is one of the container's. */
async function isConnected(t: Test, container: string, net: string) {
  const shown = await shownBy(host, container, net);
  const has = Object.values(await interfacesOf(host, container)).find(({ mac }) => mac === shown.mac);
  t.strictSame(has, shown, `${container} has on ${net} what the engine shows`);
}

async function reaches(t: Test, from: string, address: string) {
  const { code } = await host.exec(['docker', 'exec', from, 'ping', '-c1', '-W2', address], { allowFail: true });
  t.equal(code, 0, `${from} reaches ${address}`);
}

test('the daemon is killed between any two calls of the engine', async (t) => {
  const start = () => startDaemon(host, '--plugin-dir', '/run/weave-plugins');
  let daemon = await start();
  t.teardown(() => daemon.kill());
  let restarts = 0;
  await using between = await interpose(host, { at, to }, async (method) => {
    if (STATELESS.test(method)) return;
    await daemon.kill();
    daemon = await start();
    await sleep(LOOK_MS);
    restarts++;
  });
  const connected = async () => {
    await isConnected(t, 'web', 'own');
    await isConnected(t, 'db', 'own');
    await reaches(t, 'web', 'db');
    await reaches(t, 'web', host.ip);
  };
  await network('still', '--subnet', '10.50.0.0/24');
  for (const name of ['still-1', 'still-2']) await run(name, 'still');
  const before = await quiet(seen);
  const stop = await pinging(host, 'still-1', '10.50.0.3');

  const subnets = ['--ipv6', '--subnet', '10.51.0.0/24', '--subnet', 'fd00:51::/64'];
  await network('own', ...subnets, '-o', 'works.weave.gateway=weave');
  await run('web', 'own', '-p', '8085:80');
  await run('db', 'own');
  await connected();
  await host.docker('network', 'connect', 'still', 'web');
  await isConnected(t, 'web', 'still');
  await reaches(t, 'web', '10.50.0.2');
  await host.docker('network', 'disconnect', 'still', 'web');
  await host.docker('restart', '-t', '0', 'web');
  await connected();
  await host.docker('rm', '-f', 'web', 'db');
  await host.docker('network', 'rm', 'own');

  t.strictSame(await settled(seen, before), before, 'nothing is left of it');
  const { sent, lost } = await stop();
  t.ok(sent > 100 && lost === 0, `meanwhile ${lost} of ${sent} pings are lost`);
  await network('own', '--subnet', '10.51.0.0/24');
  await run('next', 'own');
  const address = await host.docker('inspect', '-f', '{{.NetworkSettings.Networks.own.IPAddress}}', 'next');
  t.equal(address, '10.51.0.2', 'every address is free again');
  t.equal(await checked(host), ALL_AGREE);
  await host.docker('rm', '-f', 'next', 'still-1', 'still-2');
  await host.docker('network', 'rm', 'own', 'still');
  t.equal((await switchLinks(host)).length, 2, 'only lo and the default bridge');

  const calls = between.calls.filter((method) => !STATELESS.test(method));
  t.ok(restarts >= calls.length - 1, `${restarts} restarts`);
  const driver = ['CreateNetwork', 'CreateEndpoint', 'Join', 'Leave', 'DeleteEndpoint', 'DeleteNetwork'];
  const external = ['ProgramExternalConnectivity', 'RevokeExternalConnectivity'];
  const ipam = ['RequestPool', 'RequestAddress', 'ReleaseAddress', 'ReleasePool'];
  const all = [...[...driver, ...external].map((m) => `NetworkDriver.${m}`), ...ipam.map((m) => `IpamDriver.${m}`)];
  t.strictSame([...new Set(calls)].sort(), all.sort(), 'after each of them');
});

test('it is killed while the engine calls, and is back before the engine gives up', async (t) => {
  await host.weave('launch', '--local');
  await network('own', '--subnet', '10.51.0.0/24');
  await killDaemon(host);
  const running = run('web', 'own');
  await sleep(500);
  await host.weave('launch', '--local');
  await running;
  await isConnected(t, 'web', 'own');
  t.equal(await checked(host), ALL_AGREE);
  await host.docker('rm', '-f', 'web');
  await host.docker('network', 'rm', 'own');
});
