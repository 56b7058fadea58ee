import { setTimeout as sleep } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import { createLab } from '../src/index.ts';

const lab = await createLab({ hosts: 1 });
const host = lab.hosts[0]!;
tap.teardown(() => lab.dispose());
await host.weave('launch', '--local');

const bare = (name: string, ...args: string[]) =>
  host.docker('run', '-d', '--net', 'none', '--name', name, ...args, 'busybox', 'sleep', '3600');
const inside = async (container: string, command: string) =>
  (await host.exec(['docker', 'exec', container, 'sh', '-c', command], { allowFail: true })).stdout.trim();
const addresses = async (container: string, link = 'ethwe') =>
  (await inside(container, `ip -o addr show dev ${link} scope global | awk '{print $4}'`))
    .split('\n')
    .filter(Boolean)
    .sort();
const weave = (...args: string[]) => host.exec(['weave', ...args], { allowFail: true });
const records = async () => `${await host.weave('ps', '--json')}${await host.weave('network', 'ls', '--json')}`;

async function reaches(t: Test, from: string, to: string) {
  t.match(await inside(from, `ping -c1 -W2 ${to}`), '1 packets received', `${from} reaches ${to}`);
}

/** Runs `check` until it holds, for what happens in the background; its last answer. */
async function eventually<T>(read: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  let value = await read();
  for (let tries = 0; tries < 50 && !holds(value); tries++) {
    await sleep(100);
    value = await read();
  }
  return value;
}

test('given addresses, twice, and after docker restart', async (t) => {
  await bare('one');
  await bare('two');
  t.equal(await host.weave('attach', '10.2.1.1/24', 'fd00:2::1/64', 'one'), '10.2.1.1 fd00:2::1');
  const state = await records();
  const link = await inside('one', 'ip -o link show ethwe');
  t.equal(await host.weave('attach', '10.2.1.1/24', 'fd00:2::1/64', 'one'), '10.2.1.1 fd00:2::1', 'again');
  t.equal(await records(), state, 'nothing changed in the store');
  t.equal(await inside('one', 'ip -o link show ethwe'), link, 'nor in the kernel');
  t.strictSame(await addresses('one'), ['10.2.1.1/24', 'fd00:2::1/64']);
  await host.weave('attach', 'ip:10.2.1.2/24', 'fd00:2::2/64', 'two');
  await reaches(t, 'one', '10.2.1.2');
  await reaches(t, 'one', 'fd00:2::2');

  const mac = await inside('one', 'cat /sys/class/net/ethwe/address');
  await host.docker('restart', '-t', '0', 'one');
  t.strictSame(
    await eventually(
      () => addresses('one'),
      (a) => a.length === 2,
    ),
    ['10.2.1.1/24', 'fd00:2::1/64'],
  );
  t.equal(await inside('one', 'cat /sys/class/net/ethwe/address'), mac, 'the same MAC');
  await reaches(t, 'two', '10.2.1.1');
  await reaches(t, 'two', 'fd00:2::1');
});

test('addresses that Weave chooses', async (t) => {
  for (const name of ['c1', 'c2', 'c3']) await bare(name);
  t.equal(await host.weave('attach', 'c1'), '10.32.0.1 fd77:6561:7665::1');
  t.equal(await host.weave('attach', 'c1'), '10.32.0.1 fd77:6561:7665::1', 'the same again');
  t.equal(await host.weave('attach', 'net:default', 'c2'), '10.32.0.2 fd77:6561:7665::2');
  t.equal(await host.weave('attach', 'net:10.32.5.0/24', 'c2'), '10.32.5.1');
  t.equal(await host.weave('attach', 'c3', 'net:10.32.5.0/24'), '10.32.5.2', 'in any order');
  await reaches(t, 'c3', '10.32.5.1');
  t.equal(await host.weave('detach', 'net:10.32.5.0/24', 'c2'), '10.32.5.1');
  t.strictSame(await addresses('c2'), ['10.32.0.2/12', 'fd77:6561:7665::2/64']);
  t.equal(await host.weave('detach', 'c2'), '10.32.0.2 fd77:6561:7665::2');
  t.match(await inside('c2', 'ip link show ethwe 2>&1'), "can't find device");
  t.equal(await host.weave('detach', 'c2'), '', 'again');
  await bare('c4');
  t.equal(await host.weave('attach', 'c4'), '10.32.0.2 fd77:6561:7665::2', 'the lowest free one');
  await host.docker('rm', '-f', 'c1');
  await eventually(
    () => host.weave('ps'),
    (ps) => !ps.includes('10.32.0.1/12'),
  );
  await bare('c5');
  t.equal(await host.weave('attach', 'c5'), '10.32.0.1 fd77:6561:7665::1', 'free again with its container');
  t.match(await inside('c5', 'ip route'), '224.0.0.0/4 dev ethwe');
});

test('other networks, each over an interface of its own', async (t) => {
  await host.weave('network', 'create', '--subnet', '10.3.0.0/16', '--subnet', 'fd00:3::/64', 'blue');
  await bare('b1');
  await bare('b2');
  t.equal(await host.weave('attach', '--network', 'blue', 'b1'), '10.3.0.1 fd00:3::1');
  await host.weave('attach', 'b1');
  await host.weave('attach', '--network', 'blue', 'b2');
  t.match(await inside('b1', 'ip -o link'), /ethwe-blue[\s\S]*ethwe@/);
  await reaches(t, 'b2', '10.3.0.1');
  await reaches(t, 'b2', 'fd00:3::1');
  const { code, stderr } = await weave('network', 'rm', 'blue');
  t.match({ code, stderr }, { code: 4, stderr: 'network blue is in use by container b1, container b2' });
  for (const name of ['b1', 'b2']) await host.weave('detach', '--network', 'blue', name);
  await host.weave('network', 'rm', 'blue');
  t.notMatch(await host.weave('network', 'ls'), 'blue');

  await host.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', '--subnet', '10.4.0.0/24', 'dock');
  await host.docker('run', '-d', '--net', 'dock', '--name', 'd1', 'busybox', 'sleep', '3600');
  const ours = await eventually(
    () => host.weave('network', 'ls'),
    (ls) => / dock /.test(ls),
  );
  t.match(ours, /dock +docker/);
  t.equal(
    await host.weave('attach', '--network', 'dock', 'b1'),
    '10.4.0.3',
    'past the gateway and what the engine handed out',
  );
  await reaches(t, 'b1', '10.4.0.2');
  await host.docker('rm', '-f', 'd1');
  await host.docker('network', 'rm', 'dock');
  t.notMatch(await host.weave('ps'), '10.4.0.', 'a network that the engine removed is gone with its attachments');
});

test('a process and a namespace path', async (t) => {
  const sleeper = host.spawn(['unshare', '--net', 'sleep', '3601']);
  const pid = await eventually(
    async () => (await host.exec('pgrep -xf "sleep 3601"', { allowFail: true })).stdout.trim(),
    Boolean,
  );
  t.equal(await host.weave('attach', '10.2.1.7/24', `pid:${pid}`), '10.2.1.7');
  t.equal(
    await host.weave('attach', 'fd00:2::7/64', `/proc/${pid}/ns/net`),
    'fd00:2::7',
    'the same namespace by its path',
  );
  const seen = (await host.exec(`nsenter --net=/proc/${pid}/ns/net ip -o addr show dev ethwe`)).stdout;
  t.match(seen, /10\.2\.1\.7\/24[\s\S]*fd00:2::7\/64/);
  await reaches(t, 'one', '10.2.1.7');
  t.match(await weave('attach', 'pid:1'), { code: 2, stderr: /own network namespace/ });
  t.match(await weave('attach', 'pid:999999'), { code: 3, stderr: /process 999999 has no network namespace/ });
  t.match(await weave('attach', '/etc/passwd'), { code: 3, stderr: /WEAVE_NETNS_NOT_FOUND/ });
  await host.weave('detach', `pid:${pid}`);
  sleeper.kill('SIGKILL');
});

test('what is refused changes nothing', async (t) => {
  await bare('r1');
  await host.docker('create', '--name', 'idle', 'busybox', 'true');
  await host.docker('run', '-d', '--net', 'host', '--name', 'hostnet', 'busybox', 'sleep', '3600');
  const before = await records();
  const refused: [string[], number, RegExp][] = [
    [['10.2.1/24', 'r1'], 2, /10\.2\.1\/24 is not an address/],
    [['10.2.1.300/24', 'r1'], 2, /INVALID_ADDRESS/],
    [['10.2.1.1/33', 'r1'], 2, /INVALID_ADDRESS/],
    [['010.2.1.1/24', 'r1'], 2, /INVALID_ADDRESS/],
    [['10.2.1.0/24', 'r1'], 2, /network or broadcast address/],
    [['10.2.1.255/24', 'r1'], 2, /network or broadcast address/],
    [['fd00::zz/64', 'r1'], 2, /INVALID_ADDRESS/],
    [['fe80::1/64', 'r1'], 2, /not a global unicast/],
    [['224.0.0.5/24', 'r1'], 2, /not a unicast/],
    [['127.0.0.1/8', 'r1'], 2, /not a unicast/],
    [['net:10.2.1.1/24', 'r1'], 2, /bits set after its prefix/],
    [['net:10.2.1.0/31', 'r1'], 2, /minimum of 4/],
    [['net:10.99.0.0/24', 'r1'], 2, /not inside 10\.32\.0\.0\/12/],
    [['net:', 'r1'], 2, /INVALID/],
    [['10.2.1.1/24', 'r1'], 4, /in use by container one/],
    [['10.2.1.9/24', '10.2.1.1/24', 'r1'], 4, /in use/],
    [['nosuch'], 3, /there is no container nosuch/],
    [['idle'], 4, /not running/],
    [['hostnet'], 2, /host network namespace/],
    [['--network', 'nosuch', 'r1'], 3, /there is no network nosuch/],
    [['10.2.1.9/24'], 2, /no container is named/],
  ];
  for (const [args, code, stderr] of refused) {
    const result = await weave('attach', ...args);
    t.match(result, { code, stderr, stdout: '' }, args.join(' '));
    t.notMatch(result.stderr, /\n\s+at /, 'no stack trace');
  }
  t.equal(await records(), before);
  t.match(await inside('r1', 'ip link'), /^((?!ethwe).)*$/s, 'no interface was made');
  const json = await weave('attach', '--json', 'nosuch');
  t.match(JSON.parse(json.stderr), { error: { code: 'WEAVE_CONTAINER_NOT_FOUND', kind: 'not-found' } });
});

test('an interface of that name that is not ours is left alone', async (t) => {
  await bare('taken', '--cap-add', 'NET_ADMIN');
  await inside('taken', 'ip link add ethwe type veth');
  const { code, stderr } = await weave('attach', 'taken');
  t.match({ code, stderr }, { code: 4, stderr: /there is an interface ethwe already/ });
  t.match(await inside('taken', 'ip -o link'), /ethwe@veth0/);
  t.notMatch(await host.weave('ps'), 'taken');
  t.equal(await host.weave('ps', 'taken'), '', 'and the address is free again');
});

test('containers that share a namespace', async (t) => {
  await bare('owner');
  await host.docker('run', '-d', '--net', 'container:owner', '--name', 'guest', 'busybox', 'sleep', '3600');
  const given = await host.weave('attach', 'owner');
  t.equal(await host.weave('attach', 'guest'), given, 'have one interface');
  await host.docker('rm', '-f', 'guest');
  await sleep(500);
  t.equal((await addresses('owner')).length, 2, 'which stays when the second one goes');
});

test('a network with a way out of its own', async (t) => {
  await host.weave('network', 'create', '--subnet', '10.6.0.0/24', '-o', 'works.weave.gateway=weave', 'out');
  await bare('o1');
  await host.weave('attach', '--network', 'out', 'o1');
  t.match(await inside('o1', 'ip route'), 'default via 10.6.0.1 dev ethwe-out');
  await reaches(t, 'o1', '192.0.2.1');
  await host.docker('rm', '-f', 'o1');
  await eventually(
    () => host.weave('ps', '--network', 'out'),
    (ps) => ps === '',
  );
  await host.weave('network', 'rm', 'out');
  t.match(await weave('attach', '/run/weave/netns'), { code: 2, stderr: /own network namespace/ });
});
