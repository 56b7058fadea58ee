import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { CATALOGUE, type Code, FACES, WeaveError } from '@weave/core';
import tap, { test } from 'tap';
import { parseWords } from '../src/commands/attach.ts';
import { table } from '../src/output.ts';
import { createRig, runProcess, TRACE } from './rig.ts';
import { sayingOf } from './said.ts';

const rig = await createRig();
tap.teardown(() => rig[Symbol.asyncDispose]());
const { json, prints, refused } = sayingOf(rig);

test('words of attach', async (t) => {
  const web = { container: 'web' };
  const cases: [string, object, string[]][] = [
    ['web', web, []],
    ['10.2.1.1/24 web', web, ['10.2.1.1/24']],
    ['web 10.2.1.1/24', web, ['10.2.1.1/24']],
    ['10.2.1.1/24 web 10.2.1.2/24', web, ['10.2.1.1/24', '10.2.1.2/24']],
    ['ip:10.2.1.1/24 net:10.2.0.0/16 net:default web', web, ['ip:10.2.1.1/24', 'net:10.2.0.0/16', 'net:default']],
    ['fd00:2::1/64 web', web, ['fd00:2::1/64']],
    ['::ffff:10.2.1.1/128 web', web, ['::ffff:10.2.1.1/128']],
    ['net:fd00::/64 web', web, ['net:fd00::/64']],
    ['10.2.1.1/24 pid:4711', { pid: 4711 }, ['10.2.1.1/24']],
    ['pid:4711 fd00::1/64', { pid: 4711 }, ['fd00::1/64']],
    ['/proc/1/ns/net', { netns: '/proc/1/ns/net' }, []],
    ['10.2.1.1/24 /run/netns/blue', { netns: '/run/netns/blue' }, ['10.2.1.1/24']],
    ['0123456789ab', { container: '0123456789ab' }, []],
    ['a.b_c-d', { container: 'a.b_c-d' }, []],
    ['10', { container: '10' }, []],
    ['10.2', { container: '10.2' }, []],
    ['pid:', { container: 'pid:' }, []],
    ['pid:0', { container: 'pid:0' }, []],
    ['pid:-1', { container: 'pid:-1' }, []],
    ['pid:1e3', { container: 'pid:1e3' }, []],
    // With a mistake in them: whoever parses them says so. They are never the container.
    ['10.2.1.1 web', web, ['10.2.1.1']],
    ['web 10.2.1.1', web, ['10.2.1.1']],
    ['web fd00::1', web, ['fd00::1']],
    ['web 10.2.1.300/24', web, ['10.2.1.300/24']],
    ['web 10.2.1.1/', web, ['10.2.1.1/']],
    ['web 10.2.1/24', web, ['10.2.1/24']],
    ['web ten/8', web, ['ten/8']],
    ['web net:', web, ['net:']],
    ['web net:10', web, ['net:10']],
    ['web fd00::zz/64', web, ['fd00::zz/64']],
    ['a b web', web, ['a', 'b']],
    ['web web', web, ['web']],
    ['web web 10.2.1.1/24', web, ['web', '10.2.1.1/24']],
  ];
  for (const [words, target, addresses] of cases) t.same(parseWords(words.split(' ')), { target, addresses }, words);
  for (const none of ['', '10.2.1.1/24', 'net:default', '10.2.1.1 fd00::1/64'])
    t.throws(
      () => parseWords(none.split(' ').filter(Boolean)),
      { code: 'WEAVE_INVALID_REQUEST', message: /no container/ },
      none,
    );
});

test('a table', async (t) => {
  t.equal(table([]), '');
  t.equal(table([['a']]), 'a');
  t.equal(
    table([['ID', 'NAME', 'X'], ['1', 'a longer one', ''], ['22', '', 'y'], ['333']]),
    'ID   NAME          X\n1    a longer one\n22                 y\n333',
  );
});

test('errors of every kind', async (t) => {
  const codes = Object.keys(CATALOGUE) as Code[];
  const weave = rig.weave as { -readonly [K in keyof typeof rig.weave]: (typeof rig.weave)[K] };
  const { status } = weave;
  for (const code of codes) {
    weave.status = async () => {
      throw new WeaveError(code, 'what happened', { hint: 'What to do.' });
    };
    const exit = FACES[CATALOGUE[code][0]].exit;
    t.same(
      await rig.run('status'),
      { code: exit, stdout: '', stderr: `weave: what happened\n  What to do. (${code})\n` },
      code,
    );
    const { stderr, ...rest } = await rig.run('status', '--json');
    t.same(rest, { code: exit, stdout: '' });
    const error = { code, kind: CATALOGUE[code][0], message: 'what happened', hint: 'What to do.' };
    t.same(JSON.parse(stderr), { error });
  }
  weave.status = async () => {
    throw new TypeError('cannot read properties of undefined');
  };
  t.match(await rig.run('status'), {
    code: 70,
    stderr: /^weave: cannot read.*\n {2}Please report this.*\(WEAVE_BUG\)\n$/,
  });
  weave.status = status;
  const distinct = new Set(Object.values(FACES).map((face) => face.exit));
  t.equal(distinct.size, Object.keys(FACES).length, 'each kind has an exit code of its own');
});

test('launch, where one runs', async (t) => {
  await refused(t, ['launch', '--local', '--run-dir', rig.runDir], 3, /^weave: already running\n.*weave stop/);
  const { stderr } = await refused(t, ['launch', '--local', '--json'], 3, /already running/);
  t.match(JSON.parse(stderr), { error: { code: 'WEAVE_ALREADY_RUNNING', kind: 'conflict' } });
});

test('status and version', async (t) => {
  const { stdout } = await rig.run('status');
  t.match(
    stdout,
    /^\n {8}Version: \d[\s\S]*\n {11}Name: [0-9a-f]{32}\(.+\)\n[\s\S]*\n {12}Pid: \d+\n {8}Started: 2023-11-14T22:13:20\.000Z\n/,
  );
  t.match(await json('status'), { pid: rig.pretended.pid, networks: 1, endpoints: 0, notices: [] });
  const { script, daemon } = await json('version');
  t.equal(script, daemon);
  await prints(t, ['version'], `weave script ${script}\nweave ${daemon}`);
});

test('check', async (t) => {
  const changed = { where: 'kernel', what: 'the packet filter or the routing of the host was changed' };
  await prints(t, ['check'], 'The records agree with kernel and store.');
  rig.firewall.disturb();
  t.match(await rig.run('check'), { code: 8, stdout: `kernel: ${changed.what}\n`, stderr: /^$/ });
  const { code, stdout } = await rig.run('check', '--json');
  t.strictSame([code, JSON.parse(stdout)], [8, { compared: ['kernel', 'store'], differences: [changed] }]);
  await prints(t, ['check', '--fix'], `kernel: ${changed.what} (mended)`);
  t.strictSame(await json('check', '--fix'), { compared: ['kernel', 'store'], differences: [] });
  t.match(await json('status'), { repairs: { setFilter: 1 } });
});

test('ps shows the interfaces of one sandbox together', async (t) => {
  const sandboxes = ['a', 'a1', 'a2'].map((name) => `/run/netns/${name}`);
  const networks = ['n1', 'n2', 'n3', 'n4'];
  for (const sandbox of sandboxes) rig.datapath.addNamespace(sandbox);
  for (const [i, network] of networks.entries()) {
    await json('network', 'create', '--subnet', `10.5.${i}.0/24`, network);
    for (const sandbox of sandboxes) await rig.run('attach', '--network', network, sandbox);
  }
  const shown = (await rig.run('ps')).stdout.trimEnd().split('\n');
  t.same(
    shown.map((line) => line.split(' ')[0]),
    sandboxes.flatMap((sandbox) => networks.map(() => sandbox)),
  );
  for (const network of networks) {
    for (const sandbox of sandboxes) await rig.run('detach', '--network', network, sandbox);
    await prints(t, ['network', 'rm', network], network);
  }
});

test('attach, ps, detach', async (t) => {
  const [one, two] = [rig.addContainer(1), rig.addContainer(2)];
  rig.containers.set('asleep', { id: 'd'.repeat(64), name: 'asleep', pid: 0 });
  rig.datapath.addNamespace('/run/netns/bare');
  await json('network', 'create', '--subnet', '10.3.0.0/24', 'green');
  await prints(t, ['ps'], '');
  t.same(await json('ps'), []);
  await prints(t, ['attach', 'c1'], '10.32.0.1 fd77:6561:7665::1');
  await prints(t, ['attach', 'c1'], '10.32.0.1 fd77:6561:7665::1');
  await prints(t, ['attach', '10.2.1.1/24', 'fd00:2::1/64', 'c2'], '10.2.1.1 fd00:2::1');
  await prints(t, ['attach', '--network', 'green', 'c1'], '10.3.0.1');
  await prints(t, ['attach', '10.2.1.7/24', '/run/netns/bare'], '10.2.1.7');
  await prints(t, ['attach', two.id, 'net:10.32.5.0/24'], '10.32.5.1');
  t.match(await json('attach', 'c1', '10.2.1.9/24'), {
    network: 'weave',
    interface: 'ethwe',
    mac: '5a:77:0a:20:00:01',
    addresses: ['10.2.1.9/24'],
  });

  const [a, b] = [one.id.slice(0, 12), two.id.slice(0, 12)];
  const first = `${a} 5a:77:0a:20:00:01 10.32.0.1/12 fd77:6561:7665::1/64 10.2.1.9/24`;
  const green = `${a} 5a:77:0a:03:00:01 10.3.0.1/24`;
  const second = `${b} 5a:77:0a:02:01:01 10.2.1.1/24 fd00:2::1/64 10.32.5.1/24`;
  const bare = '/run/netns/bare 5a:77:0a:02:01:07 10.2.1.7/24';
  const lines = async (...args: string[]) =>
    (await rig.run('ps', ...args)).stdout.trimEnd().split('\n').filter(Boolean);
  t.same((await lines()).sort(), [first, green, second, bare].sort());
  const called = (name: string, line: string) => line.replace(/^\S+/, name);
  t.same((await lines('c1')).sort(), [called('c1', first), called('c1', green)].sort(), 'by name, and called so');
  t.same(await lines(two.id), [second], 'by id');
  const [start, ...rest] = await lines(two.id.slice(0, 4), 'c1');
  t.equal(start, called(two.id.slice(0, 4), second), 'by the start of an id, and in the order of asking');
  t.same(rest.sort(), [called('c1', first), called('c1', green)].sort());
  t.same(await lines(two.id.slice(0, 3)), [], 'which is too short to be meant');
  t.same(await lines('c'), [], 'nor by the start of a name');
  t.same(await lines('nosuch'), []);
  t.same(await lines('--network', 'green'), [green]);
  t.same(await lines('--network', 'green', 'c2'), []);
  const endpoints = await json<{ container?: { name: string } }[]>('ps');
  t.same(endpoints.map((e) => e.container?.name).sort(), ['c1', 'c1', 'c2', undefined]);

  await refused(t, ['ps', '--network', 'nosuch'], 3, /no network nosuch/);
  await refused(t, ['attach', '10.2.1.1/24', 'c1'], 4, /in use by container c2/);
  await refused(t, ['attach', 'nosuch'], 3, /no container nosuch/);
  await refused(t, ['attach', 'asleep'], 4, /asleep is not running/);
  await refused(t, ['attach', 'pid:999999999'], 3, /no network namespace/);
  await refused(t, ['attach', '/no/such/file'], 3, /no network namespace/);
  await refused(t, ['attach', 'web', 'c1'], 2, /web is not an address/);
  await refused(t, ['attach', '10.2.1.1', 'c1'], 2, /10\.2\.1\.1 is not an address with a prefix length/);
  await refused(t, ['attach', '10.2.1.8/24'], 2, /no container is named/);
  await refused(t, ['attach', ''], 2, /WEAVE_INVALID_REQUEST/);
  await refused(t, ['attach', '--network', 'nosuch', 'c1'], 3, /no network nosuch/);
  await refused(t, ['detach', '10.2.1.x/24', 'c1'], 2, /WEAVE_INVALID_ADDRESS/);

  await prints(t, ['detach', '10.2.1.9/24', 'c1'], '10.2.1.9');
  await prints(t, ['detach', '10.2.1.9/24', 'c1'], '10.2.1.9');
  await prints(t, ['detach', 'c1'], '10.32.0.1 fd77:6561:7665::1');
  t.same(await json('detach', '--network', 'green', 'c1'), { addresses: ['10.3.0.1/24'] });
  await prints(t, ['detach', 'FD00:2:0::1/64', 'c2'], 'fd00:2::1');
  await prints(t, ['detach', 'c2'], '10.2.1.1 10.32.5.1');
  await prints(t, ['detach', '/run/netns/bare'], '10.2.1.7');
  await prints(t, ['network', 'rm', 'green'], 'green');
  await prints(t, ['ps'], '');
});

test('as processes', async (t) => {
  const [, ...all] = await Promise.all([
    rig.addContainer(3),
    rig.spawn('version', '--json'),
    rig.spawn('status', '--json'),
    rig.spawn('attach', '--json', 'nosuch'),
    rig.spawn('network', 'ls', '--bogus'),
    rig.spawn('launch', '--local'),
    rig.spawn('ps', '--run-dir', join(rig.runDir, 'nowhere')),
    runProcess('weave-docker-plugin', ['--help']),
    runProcess('weave-docker-plugin', ['--nameserver', 'ns1']),
    runProcess('weave-docker-plugin', ['--sockets', '/x']),
  ]);
  const [version, status, nosuch, bogus, launch, nowhere, help, nameserver, option] = all;
  t.equal(JSON.parse(version!.stdout).script, JSON.parse(status!.stdout).version);
  t.equal(JSON.parse(nosuch!.stderr).error.code, 'WEAVE_CONTAINER_NOT_FOUND');
  t.match(nosuch, { code: 3, stdout: /^$/ });
  t.match(bogus, { code: 1, stdout: /^$/, stderr: /unknown option '--bogus'\nUsage: weave network ls / });
  t.match(launch, { code: 3, stdout: /^$/, stderr: /already running/ });
  t.match(nowhere, { code: 7, stdout: /^$/, stderr: /no weave daemon answers/ });
  t.match(help, { code: 0, stderr: /^$/, stdout: /--socket.*--nameserver.*--log-level.*Examples:/s });
  for (const each of [nameserver, option])
    t.match(each, { code: 1, stdout: /^$/, stderr: /^error: .*\nUsage: weave-docker-plugin /s });
  for (const { stderr } of all) t.notMatch(stderr, TRACE);

  const piped = spawn('sh', [
    '-c',
    `"$0" --conditions=@weave/source "$1" --help | head -n 1; exit`,
    process.execPath,
    join(import.meta.dirname, '../src/weave.ts'),
  ]);
  let stderr = '';
  piped.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  await once(piped, 'close');
  t.equal(stderr, '', 'a reader that goes away is no error');
});

test('reset and stop', async (t) => {
  rig.addContainer(5);
  await prints(t, ['attach', 'c5'], '10.32.0.1 fd77:6561:7665::1');
  const ended = once(rig.pretended, 'exit');
  t.same(await json('stop'), { stopped: rig.pretended.pid });
  t.same(await ended, [null, 'SIGTERM'], 'the process that the daemon is gets the signal, and is gone');
  await prints(t, ['ps'], /10\.32\.0\.1/);
  t.same(await json('reset'), { reset: true });
  t.same(await rig.weave.networks.list(), []);
});
