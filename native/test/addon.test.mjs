// Loads the built addon and does what the SDK does with it. Runs in network and mount namespaces of its own
// (`unshare --net --mount`, see package.json): nothing here touches the machine's links.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Kernel, netnsId } from '@weave/native';

const here = fileURLToPath(new URL('.', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'weave-addon-'));
const switchPath = join(directory, 'run', 'netns');
const containers = [];
let kernel;

/** A process in a network namespace of its own. */
async function container() {
  const child = spawn('unshare', ['--net', 'sleep', '600'], { stdio: 'ignore' });
  containers.push(child);
  const path = `/proc/${child.pid}/ns/net`;
  const ours = readlinkSync('/proc/self/ns/net');
  for (let tries = 0; tries < 500; tries++) {
    try {
      if (readlinkSync(path) !== ours) return { path, pid: child.pid };
    } catch {}
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error('no namespace of its own after a second');
}

const bridge = { op: 'addBridge', netns: 'switch', name: 'br0', mac: '02:00:00:00:00:01', mtu: 1450 };

function attach(netns, name, address) {
  return [
    {
      op: 'addVeth',
      netns: 'switch',
      name,
      mtu: 1450,
      master: 'br0',
      up: true,
      peer: { netns, name: 'ethwe', mtu: 1450, up: true },
    },
    { op: 'addAddress', netns, link: 'ethwe', address: `${address}/24` },
    { op: 'addAddress', netns, link: 'ethwe', address: `fd00::${address.split('.')[3]}/64` },
    { op: 'addRoute', netns, link: 'ethwe', destination: '0.0.0.0/0', gateway: '10.32.0.1' },
  ];
}

before(() => {
  assert.equal(process.getuid?.(), 0, 'these tests change kernel state: run them as root');
  const links = JSON.parse(execFileSync('ip', ['-j', 'link'], { encoding: 'utf8' }));
  assert.deepEqual(
    links.map((link) => link.ifname),
    ['lo'],
    'these tests need a network namespace of their own: run them by `unshare --net --mount`',
  );
  kernel = Kernel.open(switchPath);
});

after(async () => {
  for (const child of containers) child.kill('SIGKILL');
  await kernel.destroy();
  rmSync(directory, { recursive: true });
});

test('two containers talk after one crossing each', async () => {
  const [a, b] = [await container(), await container()];
  const applied = await kernel.apply([[bridge], attach(a.path, 'va', '10.32.0.2'), attach(b.path, 'vb', '10.32.0.3')]);
  assert.deepEqual(applied, [{ done: 1 }, { done: 4 }, { done: 4 }]);
  for (const address of ['10.32.0.3', 'fd00::3']) {
    execFileSync('nsenter', [`--net=${a.path}`, 'ping', '-c', '1', '-W', '2', address]);
  }
  const [seen] = await kernel.observe([{ netns: a.path, links: ['ethwe', 'absent'] }]);
  assert.deepEqual(
    seen.links.map((link) => [link.name, link.kind, link.up]),
    [['ethwe', 'veth', true]],
  );
  assert.ok(seen.addresses.some((found) => found.address === '10.32.0.2/24'));
  assert.ok(seen.routes.some((found) => found.destination === '0.0.0.0/0' && found.gateway === '10.32.0.1'));
});

test('failures come back as data', async () => {
  const [gone, bad, good] = await kernel.apply([
    [bridge, ...attach('/proc/0/ns/net', 'vx', '10.32.0.9')],
    [{ op: 'addAddress', netns: 'host', link: 'lo', address: 'nonsense' }],
    [{ op: 'deleteLink', netns: '/proc/0/ns/net', name: 'vx' }],
  ]);
  assert.equal(gone.done, 1);
  assert.deepEqual(
    { ...gone.failed, message: '' },
    { index: 1, op: 'addVeth', errno: 2, code: 'ENOENT', netns: '/proc/0/ns/net', link: 'vx', message: '' },
  );
  assert.equal(bad.failed.code, 'EINVAL');
  assert.match(bad.failed.message, /^address: "nonsense"/);
  assert.deepEqual(good, { done: 1 });
  const [seen] = await kernel.observe([{ netns: '/proc/0/ns/net' }]);
  assert.equal(seen.code, 'ENOENT');
  assert.deepEqual(seen.links, []);
});

test('hostile values neither crash nor wedge the process', async () => {
  const values = ['', 'a'.repeat(5000), '%s', '\0', '../..', '💥', '/dev/zero', '/proc/self/ns/mnt', '-1', '1e9'];
  const ops = values.flatMap((value) => [
    { ...bridge, name: value },
    { ...bridge, netns: value },
    { ...bridge, mac: value },
    { op: 'setSysctl', netns: 'switch', key: value, value },
    { op: 'setSysctl', netns: value, key: 'net/ipv4/ip_forward', value },
    { op: 'addRoute', netns: 'switch', link: 'br0', destination: value, gateway: value },
    { op: 'announce', netns: 'switch', link: value, bridge: 'br0', address: value },
  ]);
  const answers = await kernel.apply(ops.map((op) => [op]));
  for (const [index, answer] of answers.entries()) {
    // Some are odd but right, such as a link named 💥.
    assert.notEqual(answer.failed?.code, 'EPANIC', JSON.stringify(ops[index]));
  }
  assert.throws(() => kernel.apply([[{ op: 'noSuchOp', netns: 'switch' }]]));
  assert.throws(() => kernel.apply('nonsense'));
  assert.deepEqual(await kernel.apply([[bridge]]), [{ done: 1 }]);
});

test('thrown errors carry the errno name as code', () => {
  assert.match(netnsId('host'), /^[0-9a-f]{8}:\d+$/);
  assert.equal(netnsId('host'), netnsId('/proc/self/ns/net'));
  assert.throws(() => netnsId('/proc/0/ns/net'), { code: 'ENOENT' });
  assert.throws(() => netnsId('/etc/passwd'), { code: 'EINVAL' });
  assert.throws(() => Kernel.open('relative'), { code: 'EINVAL' });
  assert.throws(() => Kernel.open('/etc/hostname'), { code: 'EEXIST' });
});

test('what others change is told, until the handle is closed', async () => {
  const path = join(directory, 'watched');
  const watched = Kernel.open(path);
  const told = [];
  watched.watch((changed) => told.push(changed));
  const until = async (holds) => {
    for (let tries = 0; !told.some(holds) && tries < 300; tries++) await new Promise((r) => setTimeout(r, 10));
    assert.ok(told.some(holds), JSON.stringify(told));
  };
  await new Promise((resolve) => setTimeout(resolve, 200));
  execFileSync('nsenter', [`--net=${path}`, 'ip', 'link', 'add', 'br7', 'type', 'bridge']);
  await until(({ links, lost }) => links.includes('br7') && !lost);
  await watched.destroy();
});

test('an idle kernel lets the process end, a pending promise keeps it', () => {
  const script = `
    import { Kernel } from '@weave/native';
    const kernel = Kernel.open(${JSON.stringify(switchPath)});
    kernel.watch(() => undefined);
    kernel.observe([{ netns: 'switch' }]).then(([seen]) => console.log('first', seen.links[0].name));
  `;
  const options = { encoding: 'utf8', timeout: 10_000, cwd: here };
  const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', script], options);
  assert.equal(printed, 'first lo\n');
});

test('a closed kernel answers, and destroy takes everything along', async () => {
  const path = join(directory, 'other');
  const first = Kernel.open(path);
  await first.apply([[bridge]]);
  first.close();
  const [refused] = await first.apply([[bridge]]);
  assert.equal(refused.failed.code, 'EBADF');

  const second = Kernel.open(path);
  const [kept] = await second.observe([{ netns: 'switch', links: ['br0'] }]);
  assert.equal(kept.links.length, 1);
  await second.destroy();
  assert.throws(() => netnsId(path), { code: 'ENOENT' });
  await assert.rejects(second.destroy(), { code: 'EBADF' });
});
