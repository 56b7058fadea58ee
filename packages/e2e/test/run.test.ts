import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import { ALL_AGREE, checked, createLab } from '../src/index.ts';

const lab = await createLab({ hosts: 1 });
const host = lab.hosts[0]!;
tap.teardown(() => lab.dispose());
await host.weave('launch', '--local');

const weave = (...args: string[]) => host.exec(['weave', ...args], { allowFail: true, timeoutMs: 120_000 });
const containers = () => host.docker('ps', '--all', '--quiet', '--no-trunc');
const inside = async (container: string, command: string) =>
  (await host.exec(['docker', 'exec', container, 'sh', '-c', command], { allowFail: true })).stdout.trim();
const ADDRESSES = "ip -o addr show dev ethwe scope global | awk '{print $4}'";

/** What a process finds when it starts, before anything else could have been done for it. */
const FIRST = `${ADDRESSES}; ip route show 224.0.0.0/4; cat /sys/class/net/ethwe/carrier`;

test('the interface is there before the process', async (t) => {
  for (let i = 0; i < 10; i++)
    t.match(await weave('run', '10.2.1.1/24', 'fd00:2::1/64', '--rm', 'busybox', 'sh', '-c', FIRST), {
      code: 0,
      stdout: '10.2.1.1/24\nfd00:2::1/64\n224.0.0.0/4 dev ethwe scope link \n1\n',
      stderr: '',
    });
  t.equal(await containers(), '', 'and --rm leaves nothing');
  t.equal(await host.weave('ps'), '');
});

test('beside Docker’s own, with addresses of every kind', async (t) => {
  const id = await host.weave(
    ...['run', 'net:10.32.5.0/24', '--no-multicast-route', '10.2.1.2/24', '-d', '--name', 'web', '-p', '8080:80'],
    ...[
      '--hostname',
      'web.example',
      'busybox',
      'sh',
      '-c',
      `(${FIRST}) > /first 2>&1; hostname -i >> /first; sleep 3600`,
    ],
  );
  t.equal(id, await host.docker('inspect', '--format', '{{.Id}}', 'web'), 'prints the id');
  t.match(await host.weave('ps', 'web'), / 10\.32\.5\.1\/24 10\.2\.1\.2\/24$/);
  t.equal(await inside('web', 'cat /first'), '10.32.5.1/24\n10.2.1.2/24\n1\n10.32.5.1');
  t.match(await inside('web', 'ip route'), /default via 172\.\S+ dev eth0/, 'the way out is Docker’s');
  t.match(await host.docker('ps', '--format', '{{.Command}} {{.Ports}}'), /^"sh -c .*:8080->80/, 'as docker shows it');
  t.equal(await inside('web', 'cat /proc/1/comm'), 'sleep', 'its process is the first');

  for (const [what, restart] of [
    ['docker restart', () => host.docker('restart', '-t', '0', 'web')],
    ['weave restart', () => host.weave('restart', 'web')],
    ['weave start', async () => `${await host.docker('stop', '-t', '0', 'web')}${await host.weave('start', 'web')}`],
  ] as const) {
    await inside('web', 'rm /first');
    await restart();
    await seen(() => inside('web', 'cat /first'), /1\n10\.32/);
    t.equal(await inside('web', 'cat /first'), '10.32.5.1/24\n10.2.1.2/24\n1\n10.32.5.1', what);
  }
  t.equal(await checked(host), ALL_AGREE);
  await host.docker('rm', '-f', 'web');
});

async function seen(read: () => Promise<string>, wanted: RegExp): Promise<string> {
  for (let tries = 0; tries < 100; tries++) {
    const text = await read();
    if (wanted.test(text)) return text;
    await sleep(100);
  }
  throw new Error(`never seen: ${wanted}; at last ${await read()}`);
}

test('names', async (t) => {
  await host.weave('run', '10.2.1.3/24', '-d', '--name', 'named', 'busybox', 'sleep', '3600');
  await host.weave('run', '10.2.1.4/24', '--without-dns', '-d', '--name', 'nameless', 'busybox', 'sleep', '3600');
  t.equal(await host.weave('dns-lookup', 'named'), '10.2.1.3');
  t.equal(await host.weave('dns-lookup', 'nameless'), '');
  t.match(await weave('run', '10.2.1.5/24', '--rm', 'busybox', 'ping', '-c1', '-W2', 'named'), {
    ...{ code: 0, stdout: /^PING named \(10\.2\.1\.3\)/ },
  });
  await host.docker('rm', '-f', 'named', 'nameless');

  await host.weave('network', 'create', '--subnet', 'fd00:6::/64', 'six');
  const alone = ['run', '--network', 'six', '--net', 'none', '--name', 'alone', '--rm', 'busybox'];
  t.match(await weave(...alone, 'nslookup', 'alone.weave.local'), { code: 0, stdout: /Address: fd00:6::/ }, 'by IPv6');
  await host.weave('network', 'rm', 'six');
});

test('exit codes, streams and signals', async (t) => {
  t.match(await weave('run', '--rm', 'busybox', 'sh', '-c', 'echo out; echo err >&2; exit 7'), {
    ...{ code: 7, stdout: 'out\n', stderr: 'err\n' },
  });
  t.match(await weave('run', '--rm', 'busybox', 'nosuch'), { code: 127, stderr: /nosuch/ });
  t.match(await weave('run', '--rm', 'nosuchimage'), { code: 125, stderr: /docker/ });
  t.match(await host.exec('echo in | weave run -i --rm busybox cat'), { code: 0, stdout: 'in\n' });
  const trap = 'trap "echo told; exit 5" TERM; echo ready; while :; do sleep 0.1; done';
  const child = host.spawn(['weave', 'run', '--rm', '--name', 'told', 'busybox', 'sh', '-c', trap]);
  let out = '';
  child.stdout!.on('data', (chunk) => {
    out += chunk;
    if (String(chunk).includes('ready')) child.kill('SIGTERM');
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  t.strictSame([out, code], ['ready\ntold\n', 5]);
  t.equal(await containers(), '');
});

test('what may not be written: /etc/hosts is left as Docker made it', async (t) => {
  const words = ['--read-only', '--user', '1000', '--cap-drop', 'ALL', '--rm', 'busybox', 'id', '-u'];
  t.match(await weave('run', ...words), { code: 0, stdout: '1000\n', stderr: '' });
});

test('with --init, another is the first process', async (t) => {
  await host.weave('run', '-d', '--init', '--name', 'init', 'busybox', 'sh', '-c', '(sleep 0.2 &); exec sleep 3600');
  t.equal(await inside('init', 'cat /proc/1/comm'), 'docker-init');
  await sleep(500);
  t.notMatch(await inside('init', 'ps'), /\[sleep\]/, 'which takes in what ended');
  await host.docker('kill', '--signal', 'TERM', 'init');
  t.equal(await host.docker('wait', 'init'), '143', 'and passes signals on');
  await host.docker('rm', 'init');
});

test('what is refused leaves nothing behind', async (t) => {
  await host.weave('run', '10.2.1.7/24', '-d', '--name', 'has', 'busybox', 'sleep', '3600');
  const before = `${await containers()}\n${await host.weave('ps')}`;
  const refused: [string[], number, RegExp][] = [
    [['10.2.1.1/33', 'busybox'], 2, /WEAVE_INVALID_ADDRESS/],
    [['10.2.1.300/24', '-d', 'busybox', 'sleep', '9'], 2, /WEAVE_INVALID_ADDRESS/],
    [['net:10.2.1.1/24', 'busybox'], 2, /WEAVE_INVALID_SUBNET/],
    [['--network', 'nosuch', '--rm', 'busybox'], 3, /there is no network nosuch/],
    [['10.2.1.7/24', '-d', 'busybox', 'sleep', '9'], 4, /in use by container has/],
    [['10.2.1.7/24', '--rm', 'busybox', 'sleep', '9'], 4, /in use by container has/],
    [['net:10.99.0.0/24', 'busybox', 'sleep', '9'], 2, /not inside/],
    [['--net', 'host', 'busybox'], 2, /WEAVE_HOST_NETWORK/],
  ];
  for (const [args, code, stderr] of refused) {
    const result = await weave('run', ...args);
    t.match(result, { code, stderr, stdout: '' }, args.join(' '));
    t.notMatch(result.stderr, /\n\s+at /);
    t.equal(`${await containers()}\n${await host.weave('ps')}`, before, 'nothing is left');
  }
  const json = JSON.parse(await host.weave('run', '--json', '10.2.1.8/24', '-d', '--name', 'json', 'busybox', 'true'));
  t.match(json, { container: /^[0-9a-f]{64}$/, addresses: ['10.2.1.8/24'], interface: 'ethwe' });
  await host.docker('rm', '-f', 'has', 'json');
});

test('in a terminal', async (t) => {
  const tmux = (...args: string[]) => host.exec(['tmux', '-L', 'lab', ...args]);
  const screen = async () => (await tmux('capture-pane', '-p', '-t', 'term')).stdout;
  // The pane outlives the command, so that its exit code is seen.
  writeFileSync(host.path('/run/term.sh'), 'weave run 10.2.1.1/24 -ti --rm busybox sh; echo "code $?"; sleep 3600\n');
  await tmux('new-session', '-d', '-s', 'term', '-x', '100', '-y', '30', 'env TERM=screen sh /run/term.sh');
  await seen(screen, /^\/ #/m);
  await type(t, 'tty; stty size; cat /sys/class/net/ethwe/carrier', /\/dev\/pts\/0\n30 100\n1\n/);
  await tmux('send-keys', '-t', 'term', 'sleep 1000', 'Enter');
  await sleep(500);
  await tmux('send-keys', '-t', 'term', 'C-c', '');
  await type(t, 'echo after=$?', /after=130/);
  await tmux('resize-window', '-t', 'term', '-x', '90', '-y', '25');
  // The terminal tells the command, and that one the engine, each in its own time.
  await type(t, 'until [ "$(stty size)" = "25 90" ]; do sleep 0.1; done; echo "now $(stty size)"', /^now 25 90/m);
  await type(t, 'exit 3', /code 3/);
  t.equal(await containers(), '', '--rm');

  async function type(t: Test, keys: string, wanted: RegExp): Promise<void> {
    await tmux('send-keys', '-t', 'term', keys, 'Enter');
    t.match(await seen(screen, wanted), wanted, keys);
  }
});
