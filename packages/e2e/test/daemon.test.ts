import { setTimeout as sleep } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import { createLab, switchLinks } from '../src/index.ts';

const lab = await createLab({ hosts: 1 });
const host = lab.hosts[0]!;
tap.teardown(() => lab.dispose());

interface Status {
  pid: number;
  networks: number;
  endpoints: number;
  notices: string[];
}

const status = async () => JSON.parse(await host.weave('status', '--json')) as Status;
const weave = (...args: string[]) => host.exec(['weave', ...args], { allowFail: true });
const records = async () => `${await host.weave('network', 'ls', '--json')}${await host.weave('ps', '--json')}`;
const ping = (from: string, to: string) =>
  host.exec(['docker', 'exec', from, 'ping', '-c1', '-W2', to], { allowFail: true });

async function kill(): Promise<void> {
  const { pid } = await status();
  await host.exec(`kill -KILL ${pid}; while kill -0 ${pid} 2>/dev/null; do sleep 0.02; done`);
}

async function eventually(t: Test, holds: () => Promise<boolean>, name: string) {
  for (let tries = 0; tries < 50; tries++) {
    if (await holds()) return t.pass(name);
    await sleep(100);
  }
  return t.fail(name);
}

test('launch, twice, and a second daemon', async (t) => {
  t.match(await weave('status'), { code: 7, stderr: /no weave daemon answers/ });
  t.match(await host.weave('launch', '--local'), /weave 0\.1\.0 runs as process \d+/);
  t.match(await weave('launch', '--local'), { code: 3, stderr: /already running/ });
  t.match(await weave('daemon', '--run-dir', '/run/weave2', '--plugin-dir', '/run/plugins2'), {
    code: 7,
    stderr: /weave\.db is in use by another weave daemon[\s\S]*WEAVE_STORE_LOCKED/,
  });
  t.match((await host.exec('ls /run')).stdout, /^(?![\s\S]*plugins2)/, 'the second one made nothing');
});

test('killed with containers on its networks', async (t) => {
  await host.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', '--subnet', '10.50.0.0/24', 'red');
  for (const name of ['r1', 'r2'])
    await host.docker('run', '-d', '--name', name, '--net', 'red', 'busybox', 'sleep', '3600');
  for (const name of ['n1', 'n2']) {
    await host.docker('run', '-d', '--name', name, '--net', 'none', 'busybox', 'sleep', '3600');
    await host.weave('attach', name);
  }
  await eventually(t, async () => (await records()).includes('"r2"'), 'names are learned');
  const before = await records();
  const links = await switchLinks(host);
  await kill();
  t.equal((await ping('r1', '10.50.0.3')).code, 0, 'traffic goes on');
  t.equal((await ping('n1', '10.32.0.2')).code, 0);
  await host.weave('launch', '--local');
  t.equal(await records(), before, 'nothing that was acknowledged is lost');
  t.strictSame(await switchLinks(host), links, 'nothing made again');
  t.notMatch(
    (await host.exec('tail -n 5 /var/log/weave.log')).stdout,
    '"unit":"endpoint',
    'what is right is left alone',
  );
});

test('containers that went while it was away', async (t) => {
  await kill();
  await host.docker('kill', 'n2');
  await host.docker('rm', 'n2');
  await host.docker('restart', '-t', '0', 'n1');
  await host.weave('launch', '--local');
  await eventually(t, async () => !(await records()).includes('"n2"'), 'what was attached to a removed one is free');
  await eventually(
    t,
    async () => (await host.docker('exec', 'n1', 'ip', 'addr')).includes('10.32.0.1/12'),
    'one that restarted is attached again',
  );
});

test('a store that cannot be used', async (t) => {
  await host.weave('network', 'create', '--subnet', '10.3.0.0/24', '-o', 'mtu=1400', 'blue');
  await host.docker('run', '-d', '--name', 'n3', '--net', 'none', 'busybox', 'sleep', '3600');
  await host.weave('attach', '--network', 'blue', 'n3');
  await host.weave('attach', 'n3');
  const links = await switchLinks(host);
  await host.weave('stop');
  t.match(await weave('stop'), { code: 0, stdout: /not running/ });
  await host.exec('head -c 5000 /dev/urandom >/var/lib/weave/weave.db; rm -f /var/lib/weave/weave.db-wal');
  await host.weave('launch', '--local');
  t.match((await status()).notices.join(), /file is not a database.*kept as \/var\/lib\/weave\/weave\.db\.unusable/);
  await eventually(t, async () => (await records()).includes('"name": "red"'), 'the engine’s networks are known again');
  await eventually(t, async () => (await host.weave('ps')).includes('10.50.0.3/24'), 'and its endpoints');
  const ps = await host.weave('ps');
  for (const address of ['10.32.0.1/12', '10.32.0.2/12', '10.3.0.1/24'])
    t.match(ps, address, 'what was attached, from the kernel');
  t.match(await host.weave('network', 'inspect', 'blue'), /mtu: +1400[\s\S]*10\.3\.0\.0\/24/);
  t.strictSame(await switchLinks(host), links, 'no link was touched');
  t.equal((await ping('r1', '10.50.0.3')).code, 0);
  t.equal((await ping('n1', '10.32.0.2')).code, 0);
  await host.docker('run', '-d', '--name', 'n4', '--net', 'none', 'busybox', 'sleep', '3600');
  t.match(await host.weave('attach', 'n4'), '10.32.0.3 ');
  await host.docker('run', '-d', '--name', 'r3', '--net', 'red', 'busybox', 'sleep', '3600');
  t.equal(
    await host.docker('inspect', '-f', '{{.NetworkSettings.Networks.red.IPAddress}}', 'r3'),
    '10.50.0.4',
    'no address is handed out twice',
  );
  await host.docker('rm', '-f', 'r1', 'r2', 'r3', 'n1', 'n3', 'n4');
  await host.docker('network', 'rm', 'red');
  await eventually(t, async () => (await host.weave('ps')) === '', 'containers that are removed are forgotten');
  await host.weave('network', 'rm', 'blue');
  await eventually(t, async () => (await host.weave('ps')) === '', 'and all of it can be removed as ever');
});

test('a store that is removed while it is used', async (t) => {
  await host.exec('mkdir /var/lib/kept && cp -a /var/lib/weave/. /var/lib/kept && rm -f /var/lib/weave/weave.db*');
  t.match(await weave('network', 'create', 'nowhere'), { code: 7, stderr: /weave\.db was removed/ });
  await host.exec('cp -a /var/lib/kept/. /var/lib/weave');
  await kill();
  await host.weave('launch', '--local');
});

test('the engine restarts', async (t) => {
  await host.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', '--subnet', '10.55.0.0/24', 'back');
  await host.docker(
    'run',
    '-d',
    '--restart',
    'always',
    '--name',
    'always',
    '--net',
    'back',
    'busybox',
    'sleep',
    '3600',
  );
  await host.dockerd.restart();
  await eventually(
    t,
    async () => (await host.docker('exec', 'always', 'ip', 'addr')).includes('10.55.0.2/24'),
    'and its containers are back on their network',
  );
  await host.dockerd.restart('SIGKILL');
  await eventually(
    t,
    async () => (await host.docker('exec', 'always', 'ip', 'addr')).includes('10.55.0.'),
    'after SIGKILL too',
  );
  await eventually(t, async () => (await host.weave('ps', '--network', 'back')).split('\n').length === 1, 'once');
});

test('an engine that asks while the daemon stops is answered', async (t) => {
  await host.docker('network', 'create', '-d', 'weave', 'busy');
  const runs = Array.from({ length: 4 }, () => host.docker('run', '--rm', '--net', 'busy', 'busybox', 'true'));
  await sleep(150);
  await host.weave('stop');
  await host.weave('launch', '--local');
  for (const run of await Promise.allSettled(runs))
    t.equal(run.status, 'fulfilled', run.status === 'rejected' ? String(run.reason) : 'ran');
});

test('the plugin binary by itself, with the seed’s own flags', async (t) => {
  await host.weave('reset');
  const plugin = host.spawn([
    'weave-docker-plugin',
    '--socket',
    '/run/docker/plugins/seed.sock',
    '--nameserver',
    '10.99.0.53',
    '--log-level',
    'debug',
  ]);
  await eventually(
    t,
    async () => (await host.exec('test -S /run/docker/plugins/seed.sock', { allowFail: true })).code === 0,
    'it answers where it is told',
  );
  await host.docker('network', 'create', '--driver=seed', 'weave1');
  const routes = await host.docker('run', '--rm', '--net=weave1', 'busybox', 'ip', 'route');
  t.match(routes, /10\.99\.0\.53 dev ethwe0/, 'with a route to the nameserver');
  plugin.kill('SIGTERM');
});
