import { setTimeout as sleep } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import { ALL_AGREE, checked, createLab, type Host, switchLinks, traces } from '../src/index.ts';

const lab = await createLab({ hosts: 2 });
tap.teardown(() => lab.dispose());
const [host, other] = lab.hosts as [Host, Host];

const weave = (...args: string[]) => host.exec(['weave', ...args], { allowFail: true, timeoutMs: 120_000 });
const bare = (on: Host, name: string, ...args: string[]) =>
  on.docker('run', '-d', '--name', name, '--net', 'none', ...args, 'busybox', 'sleep', '3600');
const ping = (on: Host, from: string, to: string) =>
  on.exec(['docker', 'exec', from, 'ping', '-c1', '-W2', to], { allowFail: true });
const inspect = async (on: Host) => ((await on.json(['docker', 'inspect', 'weave'])) as [Inspected])[0];
const ids = (on: Host) => on.docker('ps', '-aq', '--no-trunc');

type Ended = Awaited<ReturnType<typeof weave>>;

interface Inspected {
  Id: string;
  State: { Pid: number; Running: boolean };
  HostConfig: { CapAdd: string[]; CapDrop: string[]; Privileged: boolean; RestartPolicy: { Name: string } };
}

async function until(t: Test, name: string, holds: () => Promise<boolean>) {
  for (let tries = 0; tries < 150; tries++) {
    if (await holds()) return t.pass(name);
    await sleep(100);
  }
  return t.fail(name);
}

const before = await traces(host);

test('a container of that name that is not ours', async (t) => {
  await bare(host, 'weave');
  t.match(await weave('launch'), { code: 2, stdout: '', stderr: /Found another container named 'weave'/ });
  t.match(await weave('stop'), { code: 0, stdout: 'weave is not running\n' });
  await weave('launch', '--local');
  t.match(await weave('stop'), { code: 0, stdout: '' }, 'nor does it keep a daemon of this host from stopping');
  t.match(await weave('reset'), { code: 0, stderr: '' });
  t.match(await host.docker('inspect', '-f', '{{.State.Running}}', 'weave'), 'true', 'and it is left alone');
  await host.docker('rm', '-f', 'weave');
});

test('the image, of our own files', async (t) => {
  const { stdout } = await weave('setup');
  t.match(stdout, /^weave:\d+\.\d+\.\d+-[0-9a-f]{12}\n$/);
  const image = await host.docker('images', '-q', '--no-trunc', stdout.trim());
  t.match(image, /^sha256:/);
  t.equal((await weave('setup')).stdout, stdout, 'the same again');
  t.equal(await host.docker('images', '-q', '--no-trunc', stdout.trim()), image, 'is not loaded again');
});

test('launch, twice at once', async (t) => {
  const both = await Promise.all([weave('launch'), weave('launch')]);
  const [{ code, stdout, stderr }, late] = both.sort((a, b) => a.code! - b.code!) as [Ended, Ended];
  t.equal(code, 0);
  t.match(stderr, /^No password is set: .*\n$/);
  t.match(late, { code: /^[13]$/, stdout: '', stderr: /WEAVE_(CONTAINER_BUSY|ALREADY_RUNNING)/ });
  t.equal(stdout.trim(), await ids(host), 'prints its id');
  const { HostConfig } = await inspect(host);
  t.match(HostConfig, { Privileged: false, CapDrop: ['ALL'], RestartPolicy: { Name: 'always' } });
  t.strictSame(HostConfig.CapAdd.toSorted(), ['NET_ADMIN', 'NET_BIND_SERVICE', 'NET_RAW', 'SYS_ADMIN', 'SYS_PTRACE']);
  t.match(await weave('launch'), { code: 3, stderr: /already running; you can stop it with 'weave stop'/ });
  t.equal(await ids(host), stdout.trim(), 'and nothing was made');
});

test('containers talk, by attach and by network, also past a gateway of Weave’s', async (t) => {
  await bare(host, 'n1');
  await bare(host, 'n2');
  const addresses = [await host.weave('attach', 'n1'), await host.weave('attach', 'n2')];
  t.equal((await ping(host, 'n1', addresses[1]!.split(' ')[0]!)).code, 0);
  await host.docker(
    'network',
    'create',
    '-d',
    'weave',
    '--ipam-driver',
    'weave',
    '-o',
    'works.weave.gateway=weave',
    'blue',
  );
  await host.docker('run', '-d', '--name', 'b1', '--net', 'blue', 'busybox', 'sleep', '3600');
  t.equal((await ping(host, 'b1', host.ip)).code, 0, 'out by a gateway: nft and routing work from in there');
  await host.exec('ip netns add foreign');
  t.match(
    await host.weave('attach', '/run/netns/foreign'),
    /^10\.32\./,
    'a namespace that was pinned after it started',
  );
  await host.weave('detach', '/run/netns/foreign');
  await host.exec('ip netns delete foreign');
  const args = (await host.weave('dns-args')).split(' ');
  await host.docker('run', '-d', '--name', 'd1', ...args, 'busybox', 'sleep', '3600');
  await host.weave('attach', 'd1');
  await until(t, 'names are known in there', async () => (await ping(host, 'd1', 'n2')).code === 0);
  await host.docker('rm', '-f', 'd1');
  t.equal(await checked(host), ALL_AGREE);
});

test('stop, and launch again: what is attached goes on talking', async (t) => {
  const links = await switchLinks(host);
  const { Id } = await inspect(host);
  t.match(await weave('stop'), { code: 0, stdout: '', stderr: '' });
  t.match(await weave('stop'), { code: 0, stdout: 'weave is not running\n' });
  t.equal((await ping(host, 'n1', '10.32.0.2')).code, 0);
  t.match(await weave('reset'), { code: 1, stderr: /weave is not running; unable to remove from cluster/ });
  t.equal((await ping(host, 'n1', '10.32.0.2')).code, 0, 'and nothing was removed');
  t.equal((await weave('launch')).code, 0, 'the one that ended makes room silently');
  t.not((await inspect(host)).Id, Id);
  t.strictSame(await switchLinks(host), links);
  t.equal(await checked(host), ALL_AGREE);
});

test('killed, it is started again; with --no-restart it is not', async (t) => {
  const { Pid } = (await inspect(host)).State;
  await host.exec(`kill -KILL ${Pid}`);
  await until(t, 'another process answers', async () => {
    const { code, stdout } = await weave('status', '--json');
    return code === 0 && (JSON.parse(stdout) as { pid: number }).pid !== Pid;
  });
  await host.weave('stop');
  await host.weave('launch', '--no-restart');
  t.match((await inspect(host)).HostConfig.RestartPolicy, { Name: 'no' });
  await host.exec(`kill -KILL ${(await inspect(host)).State.Pid}`);
  await until(t, 'it ends', async () => !(await inspect(host)).State.Running);
  await host.weave('launch');
  t.equal((await ping(host, 'n1', '10.32.0.2')).code, 0);
});

test('the engine restarts: its containers are back on their network', async (t) => {
  await host.docker(
    'run',
    '-d',
    '--restart',
    'always',
    '--name',
    'always',
    '--net',
    'blue',
    'busybox',
    'sleep',
    '3600',
  );
  await host.dockerd.restart();
  const shown = () => host.exec(['docker', 'exec', 'always', 'ip', '-4', 'addr'], { allowFail: true });
  await until(t, 'also the one that weave itself is in', async () => /ethwe0/.test((await shown()).stdout));
  await host.docker('start', 'n1', 'n2', 'b1');
  await until(t, 'what was attached is attached again', async () => (await ping(host, 'n1', '10.32.0.2')).code === 0);
});

test('one that cannot start says why, and leaves nothing', async (t) => {
  await host.weave('stop');
  const daemon = host.spawn(['weave', 'daemon', '--state-dir', '/run/elsewhere'], { stdio: 'ignore' });
  await until(t, 'a daemon runs as a process', async () => (await weave('status')).code === 0);
  const failed = await weave('launch');
  t.match(failed, { code: 1, stdout: '', stderr: /^weave: the daemon did not start: .*\n.*WEAVE_ALREADY_RUNNING/ });
  t.notMatch(await host.docker('ps', '-a', '--format', '{{.Names}}'), /^weave$/m);
  t.equal((await weave('status')).code, 0, 'the other one goes on');
  t.match(await weave('launch', '--local'), { code: 3, stderr: /already running/ });
  daemon.kill('SIGTERM');
  await until(t, 'it ends', async () => (await weave('status')).code !== 0);
  const refused = await host.exec(['weave', 'launch'], { allowFail: true, env: { WEAVE_DOCKER_ARGS: '--privileged' } });
  t.match(refused, { code: 2, stderr: /WEAVE_DOCKER_ARGS cannot be used.*--privileged/s });
});

test('WEAVE_DOCKER_ARGS, WEAVE_CONTAINER_NAME', async (t) => {
  const env = { WEAVE_DOCKER_ARGS: '-l tier=net --label=a=b -e X=1', WEAVE_CONTAINER_NAME: 'netd' };
  await host.exec(['weave', 'launch'], { env });
  const format = '{{.Config.Labels.tier}} {{.Config.Labels.a}} {{.Config.Env}}';
  t.match(await host.docker('inspect', '-f', format, 'netd'), /^net b \[.*X=1/);
  await host.exec(['weave', 'stop'], { env });
  t.equal(await host.docker('inspect', '-f', '{{.State.Running}}', 'netd'), 'false');
  await host.docker('rm', 'netd');
});

test('two hosts become one cluster, their store in the containers', async (t) => {
  await host.weave('launch', '--password', 'sesame');
  await other.weave('launch', '--password', 'sesame', host.ip);
  for (const on of lab.hosts) await on.weave('prime');
  await bare(other, 'far');
  const address = (await other.weave('attach', 'far')).split(' ')[0]!;
  await until(t, 'they reach each other', async () => (await ping(host, 'n1', address)).code === 0);
  t.notMatch(await host.docker('inspect', '-f', '{{.Config.Cmd}}', 'weave'), /sesame/, 'no password on a command line');
  t.match(await weave('status', 'connections'), { stdout: /^-> .* lost=0%/ });
  await other.docker('rm', '-f', 'far');
  await other.weave('reset');
});

test('reset leaves nothing', async (t) => {
  await host.docker('rm', '-f', 'n1', 'n2', 'b1', 'always');
  await host.docker('network', 'rm', 'blue');
  t.match(await weave('reset', '--images'), { code: 0, stdout: '', stderr: '' });
  t.equal(await traces(host), before);
  t.match(await weave('reset'), { code: 0, stdout: '' }, 'and again');
  t.equal(await traces(host), before);
});
