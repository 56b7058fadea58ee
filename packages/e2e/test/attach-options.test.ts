import { setTimeout as sleep } from 'node:timers/promises';
import tap, { test } from 'tap';
import { ALL_AGREE, checked, createLab } from '../src/index.ts';

const lab = await createLab({ hosts: 1 });
const host = lab.hosts[0]!;
tap.teardown(() => lab.dispose());
await host.weave('launch', '--local');

const start = (name: string, ...args: string[]) =>
  host.docker('run', '-d', '--name', name, ...args, 'busybox', 'sleep', '3600');
const weave = (...args: string[]) => host.exec(['weave', ...args], { allowFail: true });
const inside = async (container: string, command: string) =>
  (await host.exec(['docker', 'exec', container, 'sh', '-c', command], { allowFail: true })).stdout.trim();
const hosts = (container: string) => inside(container, 'cat /etc/hosts');
const block = (...lines: string[]) =>
  ['# created by Weave - BEGIN', ...lines.map((line) => line.replace(' ', '\t')), '# created by Weave - END', ''].join(
    '\n',
  );

test('a container knows itself by its address here, and others by theirs', async (t) => {
  await start('c1', '--hostname', 'c1.example', '--add-host', 'theirs:192.0.2.7');
  const before = await hosts('c1');
  await weave('attach', 'c1', '--rewrite-hosts', '10.2.1.1/24', '--add-host', 'db:10.2.1.9', '--add-host=six:fd00::6');
  const own = ['10.2.1.1 c1.example', '10.2.1.9 db', 'fd00::6 six'];
  t.equal(await hosts('c1'), block(...own) + before, 'before what was there');
  t.equal(await inside('c1', 'hostname -i'), '10.2.1.1');
  for (const name of ['db', 'theirs']) t.match(await inside('c1', `ping -c1 -W1 ${name}`), /^PING \w+ \(/, name);

  await weave('attach', '--add-host', 'db:10.2.1.9', 'c1', '10.2.1.1/24');
  t.equal(await hosts('c1'), block(...own) + before, 'twice is once');
  await weave('attach', '10.2.2.1/24', 'c1');
  t.equal(await hosts('c1'), block(own[0]!, '10.2.2.1 c1.example', ...own.slice(1)) + before, 'a further address');
  await inside('c1', 'echo "192.0.2.8 later" >> /etc/hosts');
  await weave('detach', '10.2.2.1/24', 'c1');
  t.equal(await hosts('c1'), `${block(...own) + before}\n192.0.2.8 later`, 'what others wrote stays');

  await host.docker('restart', '-t', '0', 'c1');
  for (let tries = 0; tries < 50 && !(await hosts('c1')).includes('Weave'); tries++) await sleep(100);
  t.match(await hosts('c1'), block(...own), 'it has them again when it starts again');
  await weave('detach', 'c1');
  t.notMatch(await hosts('c1'), /Weave|10\.2\.1\./, 'and loses them with its last address');
  await host.docker('rm', '-f', 'c1');
});

test('no file but the engine’s is written', async (t) => {
  await host.exec('mkdir -p /run/own; echo "# mine" > /run/own/hosts');
  await start('own', '-v', '/run/own/hosts:/etc/hosts');
  for (const container of ['own', 'pid:1']) {
    const { code, stdout, stderr } = await weave('attach', '--rewrite-hosts', '10.2.1.1/24', container);
    t.not(code, 0, container);
    t.match({ stdout, stderr }, { stdout: '', stderr: /WEAVE_(HOSTS_FAILED|HOST_NETWORK)/ });
    t.notMatch(stderr, /\n\s+at /);
  }
  t.equal((await host.exec('cat /run/own/hosts')).stdout, '# mine\n');
  t.equal(await host.weave('ps'), '', 'nor is anything attached');
  for (const bad of ['db', 'db:', ':10.2.1.1', 'db:10.2.1.300', 'a b:10.2.1.1', 'db:10.2.1.1\n', '#:10.2.1.1'])
    t.match(await weave('attach', '--add-host', bad, 'own'), { code: 2, stderr: /WEAVE_INVALID_REQUEST/ }, bad);
  const sleeper = host.spawn(['unshare', '--net', 'sleep', '3602']);
  await sleep(300);
  const { stdout } = await host.exec('pgrep -xf "sleep 3602"');
  t.match(await weave('attach', '--add-host', 'db:10.2.1.9', `pid:${stdout.trim()}`), { code: 2 }, 'a bare process');
  sleeper.kill('SIGKILL');
  await host.docker('rm', '-f', 'own');
});

test('--no-multicast-route', async (t) => {
  const route = (container: string) => inside(container, 'ip route show 224.0.0.0/4');
  for (const name of ['with', 'without']) await start(name);
  await weave('attach', 'with');
  await weave('attach', 'without', '--no-multicast-route', '10.2.1.5/24');
  t.match(await route('with'), /^224\.0\.0\.0\/4 dev ethwe/);
  t.equal(await route('without'), '');
  await host.docker('restart', '-t', '0', 'without');
  for (let tries = 0; tries < 50 && !(await inside('without', 'ip addr')).includes('10.2.1.5'); tries++)
    await sleep(100);
  t.equal(await route('without'), '', 'nor when it starts again');
  t.equal(await checked(host), ALL_AGREE);
  await host.docker('rm', '-f', 'with', 'without');
});

test('an address that moves to another container is found there at once', async (t) => {
  for (const name of ['asks', 'first', 'second']) await start(name, '--net', 'none');
  await weave('attach', '10.2.1.1/24', 'asks');
  const from: string[] = [];
  for (const name of ['first', 'second', 'first']) {
    await weave('attach', '10.2.1.4/24', name);
    t.match(await inside('asks', 'ping -c1 -W1 10.2.1.4'), '1 packets received', name);
    from.push(await inside('asks', 'ip neigh show 10.2.1.4'));
    await weave('detach', '10.2.1.4/24', name);
  }
  t.equal(from.length, 3);
  await host.docker('rm', '-f', 'asks', 'first', 'second');
});

test('several addresses at once: in the order of asking, the lowest that is free', async (t) => {
  await start('many');
  const id = (await host.docker('inspect', '--format', '{{.Id}}', 'many')).slice(0, 12);
  const says = async (words: string, stdout: string) =>
    t.equal(await host.weave(...words.split(' ')), stdout, `weave ${words}`);
  const shows = async (...addresses: string[]) =>
    t.match(await host.weave('ps', id), new RegExp(`^${id} ([0-9a-f]{2}:){5}[0-9a-f]{2} ${addresses.join(' ')}$`));
  await says('attach 10.2.1.1/24 net:10.32.1.0/24 10.2.2.1/24 many', '10.2.1.1 10.32.1.1 10.2.2.1');
  await shows('10.2.1.1/24', '10.32.1.1/24', '10.2.2.1/24');
  await says('attach net:10.32.1.0/24 many 10.2.2.1/24', '10.32.1.1 10.2.2.1');
  await says('expose 10.2.3.1/24 net:10.32.1.0/24 net:10.32.2.0/24', '10.2.3.1 10.32.1.2 10.32.2.1');
  t.match(await host.weave('ps', 'weave:expose'), / 10\.2\.3\.1\/24 10\.32\.1\.2\/24 10\.32\.2\.1\/24$/);
  const shown = await host.exec("ip -o -4 addr show dev weave | awk '{print $4}'");
  t.equal(shown.stdout, '10.2.3.1/24\n10.32.1.2/24\n10.32.2.1/24\n');
  await says('detach 10.2.2.1/24 net:10.32.1.0/24 many', '10.2.2.1 10.32.1.1');
  await shows('10.2.1.1/24');
  await says('attach net:10.32.1.0/24 many', '10.32.1.1');
  await says('hide 10.2.3.1/24', '10.2.3.1');
  await says('hide net:10.32.2.0/24 net:10.32.1.0/24', '10.32.1.2 10.32.2.1');
  await says('hide', '');
  await says('detach many', '10.2.1.1 10.32.1.1');
  await says('ps many', '');
  t.equal(await inside('many', 'ls /sys/class/net'), 'eth0\nlo', 'the last address takes the interface along');
  for (const small of ['/30', '/31'])
    t.equal((await weave('attach', `net:10.2.3.2${small}`, 'many')).code, 2, `net:10.2.3.2${small}`);
  await host.docker('rm', '-f', 'many');
});
