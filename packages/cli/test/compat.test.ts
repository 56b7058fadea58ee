import { join } from 'node:path';
import tap, { test } from 'tap';
import { createRig } from './rig.ts';

const rig = await createRig();
tap.teardown(() => rig[Symbol.asyncDispose]());

const quiet = { code: 0, stdout: '', stderr: '' };

test('env and config: there is no proxy', async (t) => {
  t.teardown(() => delete process.env.ORIG_DOCKER_HOST);
  delete process.env.ORIG_DOCKER_HOST;
  t.same(await rig.run('env'), quiet);
  t.same(await rig.run('config'), { ...quiet, code: 1 });
  t.match(await rig.run('env', '--restore'), { code: 1, stdout: /^$/, stderr: /^Nothing to restore/ });
  const { code, stderr } = await rig.run('env', '--restore', '--json');
  t.match([code, JSON.parse(stderr)], [1, { error: { message: /^Nothing to restore/ } }]);
  process.env.ORIG_DOCKER_HOST = 'tcp://192.0.2.1:2375';
  t.same(await rig.run('env', '--restore'), { ...quiet, stdout: 'DOCKER_HOST=tcp://192.0.2.1:2375\n' });
  t.same(await rig.run('env', '--json'), { ...quiet, stdout: '{}\n' });
  t.same(await rig.run('config', '--json'), { code: 1, stdout: '{}\n', stderr: '' });
});

test('what Weave 2.0 removed', async (t) => {
  const before = await rig.state();
  for (const name of [
    'launch-router',
    'launch-proxy',
    'launch-plugin',
    'launch-dns',
    'stop-router',
    'stop-proxy',
    'stop-plugin',
  ])
    for (const args of [[], ['10.2.0.1/16'], ['--bogus', '-x', 'y']])
      t.match(
        await rig.run(name, ...args),
        {
          code: 1,
          stdout: /^$/,
          stderr: new RegExp(`^The command weave ${name} has been removed.*: use weave (launch|stop)\\.\n$`),
        },
        `${name} ${args.join(' ')}`,
      );
  t.match(await rig.run('create-bridge'), { code: 1, stderr: /has been removed/ });
  t.match(await rig.run('launch-rooter'), { code: 1, stderr: /unknown command 'launch-rooter'[\s\S]*Usage: weave / });
  t.equal(await rig.state(), before);
});

test('options before the command are those of the command', async (t) => {
  t.match(JSON.parse((await rig.run('--json', 'status')).stdout), { networks: 1 });
  t.match(JSON.parse((await rig.run('--json', 'network', 'ls')).stdout), [{ name: 'weave' }]);
  const nowhere = join(rig.runDir, 'nowhere');
  for (const args of [
    ['--run-dir', nowhere, 'ps'],
    ['ps', '--run-dir', nowhere],
    [`--run-dir=${nowhere}`, 'ps', '--run-dir', nowhere],
  ])
    t.match(await rig.run(...args), { code: 7, stderr: /no weave daemon answers on .*nowhere/ }, args.join(' '));
  t.match(await rig.run('--run-dir', nowhere, 'ps', '--run-dir', rig.runDir), quiet, 'the command’s own are nearer');
  const { code, stderr } = await rig.run('--json', 'attach', 'nosuch');
  t.equal(code, 3);
  t.match(JSON.parse(stderr), { error: { code: 'WEAVE_CONTAINER_NOT_FOUND' } });
  t.match(await rig.run('--json', 'env', '--run-dir'), { code: 1, stderr: /unknown option/ });
});

test('options after the words, and among them', async (t) => {
  rig.addContainer(1);
  await rig.weave.networks.create({ name: 'green', subnets: [{ cidr: '10.3.0.0/24' }] });
  t.equal((await rig.run('attach', 'c1', '--network', 'green', '10.3.0.7/24')).stdout, '10.3.0.7\n');
  t.equal((await rig.run('detach', '10.3.0.7/24', 'c1', '--network=green')).stdout, '10.3.0.7\n');
  t.match((await rig.run('network', 'rm', 'green', '--json')).stdout, /"green"/);
});

test('report', async (t) => {
  const whole = JSON.parse((await rig.run('report')).stdout);
  t.match(whole, {
    Router: { Peers: { length: 1 } },
    IPAM: { Range: '10.32.0.0/12' },
    Host: { status: { networks: 1 } },
  });
  t.strictSame(JSON.parse((await rig.run('report', '--json')).stdout), whole);
  t.same(
    await rig.run('report', '-f', '{{.IPAM.Range}}'),
    { ...quiet, stdout: '10.32.0.0/12' },
    'no more than was asked for',
  );
  t.same(await rig.run('report', '--format', ''), quiet);
  t.same(JSON.parse((await rig.run('report', '-f', 'x', '--json')).stdout), { text: 'x' });
  t.match(await rig.run('report', '-f', '{{.Nope}}'), { code: 2, stdout: /^$/, stderr: /no field Nope/ });
  t.match(await rig.run('report', '-f'), { code: 1, stderr: /argument missing/ });
  t.match(await rig.run('report', 'x'), { code: 1, stderr: /too many arguments/ });
});

test('status, part by part, for programs', async (t) => {
  const parts = {
    targets: [],
    connections: [],
    peers: [{ self: true, alive: true }],
    ipam: [{ cidr: '10.32.0.0/12', active: 0 }, {}],
  };
  for (const [part, wanted] of Object.entries(parts))
    t.match(JSON.parse((await rig.run('status', part, '--json')).stdout), wanted, part);
  t.same(await rig.run('status', 'targets'), quiet);
  t.same(await rig.run('status', 'connections'), quiet);
});
