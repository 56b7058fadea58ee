import { setTimeout as sleep } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import {
  ALL_AGREE,
  checked,
  createLab,
  cutPower,
  type Host,
  type Interface,
  interfacesOf,
  killDaemon,
  pinging,
  settled,
  shownBy,
} from '../src/index.ts';

const lab = await createLab({ hosts: 3 });
const [first, second, third] = lab.hosts as [Host, Host, Host];
tap.teardown(() => lab.dispose());

const run = (host: Host, name: string, net: string, ...args: string[]) =>
  host.docker('run', '-d', '--stop-timeout', '0', '--name', name, '--net', net, ...args, 'busybox', 'sleep', '3600');
const attached = async (host: Host, name: string) => (await interfacesOf(host, name)).ethwe;

/**
 * What is there before: `auto` and `hand` attached by weave, `web` on a network of the engine's. The engine starts
 * `auto` and `web` again by itself.
 */
async function prepare(host: Host): Promise<Record<'auto' | 'hand', Interface>> {
  await host.weave('launch', '--local');
  await host.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', '--subnet', '10.50.0.0/24', 'one');
  await run(host, 'web', 'one', '--restart', 'always');
  await run(host, 'auto', 'none', '--restart', 'always');
  await run(host, 'hand', 'none');
  await host.weave('attach', 'hand');
  await host.weave('attach', '10.2.1.7/24', 'fd00:2::7/64', 'net:default', 'auto');
  return { auto: (await attached(host, 'auto'))!, hand: (await attached(host, 'hand'))! };
}

async function isBack(t: Test, host: Host, name: string, wanted: Interface, when: string) {
  t.strictSame(await settled(() => attached(host, name), wanted), wanted, `${name} is attached as before: ${when}`);
}

/** The interface that the engine shows is one of the container's. */
async function isConnected(t: Test, host: Host, when: string) {
  const agree = async () => {
    const shown = await shownBy(host, 'web', 'one');
    const found = Object.values(await interfacesOf(host, 'web')).find(({ mac }) => mac === shown.mac);
    return shown.mac !== '' && JSON.stringify(found) === JSON.stringify(shown);
  };
  t.equal(await settled(agree, true), true, `web is on its network: ${when}`);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

async function reaches(t: Test, host: Host, from: string, address: string) {
  const { code } = await host.exec(['docker', 'exec', from, 'ping', '-c1', '-W2', address], { allowFail: true });
  t.equal(code, 0, `${from} reaches ${address}`);
}

test('attached containers, over restarts of each', async (t) => {
  const host = first;
  const before = await prepare(host);
  const [address] = before.hand.addresses;
  t.equal(before.auto.addresses.length, 4, 'given ones and those of the default network');
  await host.docker('restart', 'auto');
  await isBack(t, host, 'auto', before.auto, 'docker restart');
  await killDaemon(host);
  await host.docker('restart', 'auto');
  await host.weave('launch', '--local');
  await isBack(t, host, 'auto', before.auto, 'docker restart without a daemon');
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await host.dockerd.restart(signal);
    await isBack(t, host, 'auto', before.auto, `${signal} of the engine`);
    await host.docker('start', 'hand');
    await isBack(t, host, 'hand', before.hand, `${signal} of the engine`);
    await isConnected(t, host, `${signal} of the engine`);
    await reaches(t, host, 'auto', address!.split('/')[0]!);
  }

  await host.dockerd.stop();
  await host.dockerd.start({ args: ['--live-restore'] });
  await host.docker('start', 'hand');
  await isBack(t, host, 'hand', before.hand, 'it is started');
  await isBack(t, host, 'auto', before.auto, 'the engine starts it');
  const pid = await host.docker('inspect', '-f', '{{.State.Pid}}', 'hand');
  const stop = await pinging(host, 'auto', address!.split('/')[0]!);
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await host.dockerd.stop(signal);
    await killDaemon(host);
    await Promise.all([host.dockerd.start(), host.weave('launch', '--local')]);
  }
  const { sent, lost } = await stop();
  t.ok(sent > 50 && lost === 0, `live restore, with the daemon killed too: ${lost} of ${sent} pings are lost`);
  t.equal(await host.docker('inspect', '-f', '{{.State.Pid}}', 'hand'), pid, 'they run on');
  await isBack(t, host, 'auto', before.auto, 'live restore');
  await isConnected(t, host, 'live restore');
  t.equal(await checked(host), ALL_AGREE);
});

/** The store is durable; the pin of the switch and all links are gone. */
async function reboot(host: Host) {
  await cutPower(host);
  const { stdout } = await host.exec('ls /run; ip -o link');
  return stdout;
}

test('the host reboots, and the daemon starts before the engine', async (t) => {
  const host = second;
  const before = await prepare(host);
  t.notMatch(await reboot(host), /weave|docker|veth|: wh/, 'nothing of either is left but what is on disk');
  await host.weave('launch', '--local');
  const ms = await timed(() => host.dockerd.start());
  t.ok(ms < 15_000, `the engine, which calls the daemon as it starts, is up in ${ms} ms`);
  await isBack(t, host, 'auto', before.auto, 'reboot');
  await isConnected(t, host, 'reboot');
  t.equal(await attached(host, 'hand'), undefined, 'the one without a policy does not run');
  await host.docker('start', 'hand');
  await isBack(t, host, 'hand', before.hand, 'when it is started by hand');
  await reaches(t, host, 'auto', before.hand.addresses[0]!.split('/')[0]!);
  t.equal(await checked(host), ALL_AGREE);
});

test('the host reboots, and the engine starts before the daemon', async (t) => {
  const host = third;
  const before = await prepare(host);
  await reboot(host);
  const starting = host.dockerd.start();
  await sleep(2000);
  await host.weave('launch', '--local');
  await starting;
  await isBack(t, host, 'auto', before.auto, 'reboot');
  await isConnected(t, host, 'reboot');
  await host.docker('start', 'hand');
  await isBack(t, host, 'hand', before.hand, 'when it is started by hand');
  t.equal(await checked(host), ALL_AGREE);
});

test('the host reboots, and its store is lost', async (t) => {
  const host = second;
  await reboot(host);
  await host.exec('rm /var/lib/weave/weave.db*');
  await host.weave('launch', '--local');
  await host.dockerd.start();
  await isConnected(t, host, 'reboot without a store: the engine gave it up, the daemon started it');
  t.equal(await checked(host), ALL_AGREE);
  t.match((await host.exec('cat /var/log/weave.log')).stdout, '"container":"web","error":"IpamDriver.RequestAddress');
});
