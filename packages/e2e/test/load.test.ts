import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import { createLab, quiet, settled, switchLinks } from '../src/index.ts';

const lab = await createLab({ hosts: 1, docker: false });
const host = lab.hosts[0]!;
tap.teardown(() => lab.dispose());

interface Status {
  pid: number;
  notices: string[];
}

const sh = async (script: string) => (await host.exec(script)).stdout.trim();
const status = async () => JSON.parse(await host.weave('status', '--json')) as Status;
const weave = (...args: string[]) => host.exec(['weave', ...args], { allowFail: true });
const records = async () => [await host.weave('network', 'ls'), await host.weave('ps')];

/** What must not change: records, links, and what is inside of who is attached. */
const seen = async () => [
  ...(await records()),
  await switchLinks(host),
  await sh('for n in a b; do ip -n $n -br addr show ethwe; done'),
];

const launch = (...args: string[]) =>
  host.weave('launch', '--local', '--log-file', '/var/lib/weave/log', '--log-level', 'debug', ...args);

/** A page at a time: the loop driver tells of a request that was written in part that all is well. */
const mountDisk = () =>
  sh(`disk=$(losetup --find --show /run/disk/image) && echo 4 >/sys/block/\${disk#/dev/}/queue/max_sectors_kb
    mount $disk /var/lib/weave && losetup --detach $disk`);

async function kill(): Promise<void> {
  const { pid } = await status();
  await sh(`kill -KILL ${pid}; while kill -0 ${pid} 2>/dev/null; do sleep 0.02; done`);
}

/** One verb of each kind. */
const VERBS = [
  ['attach', '10.2.1.3/24', '/run/netns/c'],
  ['detach', '/run/netns/a'],
  ['network', 'create', 'other'],
  ['network', 'rm', 'own'],
];
const UNDO = [
  ['detach', '/run/netns/c'],
  ['attach', '10.2.1.1/24', '/run/netns/a'],
  ['network', 'rm', 'other'],
  ['network', 'create', '--subnet', '10.8.0.0/16', 'own'],
];

async function refused(t: Test, stderr: RegExp): Promise<void> {
  const before = await quiet(seen);
  for (const verb of VERBS) t.match(await weave(...verb), { code: 7, stderr }, verb.join(' '));
  t.strictSame(await seen(), before, 'nothing has changed');
  t.notMatch(await sh('ip -n c link'), /ethwe/);
  t.match(await sh('ip netns exec a ping -n -c1 -W2 10.2.1.2'), / 0% packet loss/, 'and traffic goes on');
}

/** By the daemon that refused before. */
async function accepted(t: Test, pid: number): Promise<void> {
  for (const verb of VERBS) t.match(await weave(...verb), { code: 0 }, verb.join(' '));
  t.match(await sh('ip netns exec b ping -n -c1 -W2 10.2.1.3'), / 0% packet loss/);
  for (const verb of UNDO) await host.weave(...verb);
  t.equal((await status()).pid, pid);
}

test('a daemon whose records and log are on a small disk', async (t) => {
  // Its disk is an image in memory, and that memory can run out too.
  await sh(`mkdir /run/disk && mount -t tmpfs -o size=16m disk /run/disk && truncate -s 12m /run/disk/image
    mkfs.ext4 -q -m 0 -b 4096 -O ^has_journal /run/disk/image`);
  await mountDisk();
  await launch();
  await host.weave('network', 'create', '--subnet', '10.8.0.0/16', 'own');
  await sh('for n in a b c d; do ip netns add $n; done');
  for (const n of [1, 2, 9]) await host.weave('attach', `10.2.1.${n}/24`, `/run/netns/${'ab......d'[n - 1]}`);
  await accepted(t, (await status()).pid);
});

/** To the last block; twice, as what a file system sets aside while it writes is left over then. */
const fill = (dir: string) =>
  sh(`for n in 1 2; do dd if=/dev/zero bs=1k >>${dir}/filler 2>/dev/null || sync -f ${dir}; done`);
const limit = async (what: string) => sh(`prlimit --pid ${(await status()).pid} --${what}:`);
const failed = (why: string) =>
  new RegExp(`cannot write /var/lib/weave/weave\\.db: .*${why}\\n.*free space.*WEAVE_STORE_FAILED`);

/** Until the blocks are used up that it wrote to before. */
async function untilFull(): Promise<void> {
  while ((await weave('network', 'create', `fill${fills++}`)).code === 0);
}
let fills = 0;

const SHORTAGES: { name: string; stderr: RegExp; begin(): Promise<unknown>; end(): Promise<unknown> }[] = [
  {
    name: 'a disk that fails when it is told to be sure',
    stderr: failed('disk I/O error'),
    begin: () => fill('/run/disk').then(untilFull),
    end: () => sh('rm /run/disk/filler'),
  },
  {
    name: 'a disk that refuses to be written to',
    stderr: failed('disk I/O error'),
    begin: () => limit('fsize=1000'),
    end: () => limit('fsize=unlimited'),
  },
  {
    name: 'a disk that is full',
    stderr: failed('full'),
    begin: () => fill('/var/lib/weave').then(untilFull),
    end: () => sh('rm /var/lib/weave/filler'),
  },
];

for (const { name, stderr, begin, end } of SHORTAGES)
  test(name, async (t) => {
    const { pid } = await status();
    await begin();
    await refused(t, stderr);
    await end();
    await accepted(t, pid);
  });

test('what a failing disk refused does not come back, whenever the daemon ends', async (t) => {
  const [{ begin, end, stderr }] = SHORTAGES as [(typeof SHORTAGES)[0]];
  await begin();
  const before = await quiet(seen);
  t.match(await weave(...VERBS[0]!), { code: 7, stderr });
  await kill();
  await end();
  await launch();
  t.strictSame(await quiet(seen), before);

  await host.weave(...VERBS[0]!);
  const after = await quiet(seen);
  await kill();
  await sh('umount /var/lib/weave');
  await mountDisk();
  await launch();
  t.strictSame(
    await quiet(seen),
    after,
    'nor takes with it what came after it, though only memory had what was refused',
  );
  await host.weave(...UNDO[0]!);
});

test('a start with a full disk', async (t) => {
  const before = await quiet(seen);
  await host.weave('stop');
  // What is gone can be forgotten no more, and somebody else is there; what somebody broke is to be mended all the same.
  await sh('ip netns del d && ip netns add d && ip -n a addr del 10.2.1.1/24 dev ethwe');
  await fill('/var/lib/weave');
  await launch();
  const { pid, notices } = await status();
  t.match(notices, [/gone could not be forgotten: .* full/]);
  t.strictSame(await records(), before.slice(0, 2), 'and serves what it has');
  await refused(t, failed('full'));
  t.notMatch(await sh('ip -n d link'), /ethwe/, 'and gives the other nothing');
  await sh('rm /var/lib/weave/filler');
  await accepted(t, pid);
  await kill();
  await launch();
  t.strictSame((await status()).notices, []);
  t.notMatch(await host.weave('ps'), /10\.2\.1\.9/);
  t.match(await host.weave('ps'), /10\.2\.1\.1\/24[\s\S]*10\.2\.1\.2\/24/);
});

test('a disk that may only be read', async (t) => {
  const before = await quiet(seen);
  await host.weave('stop');
  await sh('mount -o remount,ro /var/lib/weave');
  const log = ['--log-file', '/var/log/weave'];
  t.match(await weave('launch', '--local', ...log), { code: 1, stderr: /cannot open .*weave\.db: .*read-only/ });
  t.match(await sh('ip netns exec a ping -n -c1 -W2 10.2.1.2'), / 0% packet loss/);
  await sh('mount -o remount,rw /var/lib/weave');
  await launch();
  t.strictSame(await seen(), before);
});

test('no room for the log', async (t) => {
  await host.weave('stop');
  const daemon = host.spawn(['sh', '-c', 'exec weave daemon --log-level debug 2>/dev/full'], { stdio: 'ignore' });
  await until(async () => (await weave('status')).code === 0);
  await accepted(t, (await status()).pid);
  await host.weave('stop');
  t.strictSame(await ended(daemon), 0);
  await launch();
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 10_000; !(await holds()) && performance.now() < end; ) await sleep(50);
}

async function ended(child: ReturnType<typeof host.spawn>): Promise<number | null> {
  if (child.exitCode === null) await once(child, 'exit');
  return child.exitCode;
}

const GATEWAY = 'works.weave.gateway=weave';

test('more clients than files', async (t) => {
  const before = await quiet(seen);
  const { pid } = await status();
  await limit(`nofile=${Number(await sh(`ls /proc/${pid}/fd | wc -l`)) + 16}`);
  const many = `for (let i = 0; i < 100; i++) require('net').connect('/run/weave/weave.sock').on('error', () => undefined)`;
  const clients = host.spawn([process.execPath, '-e', many], { stdio: 'ignore' });
  await until(async () => (await weave('status')).code !== 0);
  t.match(await weave('status'), { code: 7, stderr: /no answer of a weave daemon.*\n.*listens there.*UNREACHABLE/ });
  t.match(await sh('ip netns exec a ping -n -c1 -W2 10.2.1.2'), / 0% packet loss/);
  clients.kill('SIGKILL');
  await ended(clients);
  t.strictSame(await seen(), before);
  await limit(`nofile=${await sh(`ls /proc/${pid}/fd | wc -l`)}`);
  t.match(await weave('attach', '/run/netns/c'), { code: 7, stderr: /WEAVE_TOO_MANY_FILES|no answer/ });
  t.match(await weave('network', 'create', '-o', GATEWAY, 'new'), { code: 7, stderr: /TOO_MANY_FILES|no answer/ });
  await sh(`prlimit --pid ${pid} --nofile=1024:`);
  t.strictSame(await settled(seen, before), before, 'nothing has changed, once what was undone is swept up');
  await accepted(t, pid);
});

test('two daemons', async (t) => {
  const { pid } = await status();
  const before = await quiet(seen);
  const activate = async () => {
    const asked = request({
      socketPath: host.path('/run/docker/plugins/weave.sock'),
      path: '/Plugin.Activate',
      method: 'POST',
    });
    const [answer] = await once(asked.end(), 'response');
    return JSON.parse(await text(answer));
  };
  const refusals: [string[], object][] = [
    [[], { code: 4, stderr: /answers on \/run\/docker\/plugins\/weave\.sock already[\s\S]*ALREADY_RUNNING/ }],
    [['state', 'run'], { code: 4, stderr: /answers on \/run\/docker\/plugins\/weave\.sock already/ }],
    [['state', 'plugin'], { code: 4, stderr: /answers on \/run\/weave\/weave\.sock already/ }],
    [['run', 'plugin'], { code: 7, stderr: /in use by another weave daemon[\s\S]*WEAVE_STORE_LOCKED/ }],
  ];
  for (const [own, refusal] of refusals) {
    const dirs = own.flatMap((name) => [`--${name}-dir`, `/run/second/${name}`]);
    t.match(await weave('daemon', ...dirs), refusal, `with ${own} of its own`);
    t.equal(await sh('ls -A /run/second 2>/dev/null || true'), '', 'it made nothing');
    t.strictSame([await seen(), (await status()).pid], [before, pid], 'and changed nothing');
    t.match(await activate(), { Implements: ['NetworkDriver', 'IpamDriver'] }, 'the first still answers');
  }
  await kill();
  await launch();
  t.strictSame(await seen(), before, 'when it is killed another can start at once');
  t.match(await activate(), { Implements: [] });
});
