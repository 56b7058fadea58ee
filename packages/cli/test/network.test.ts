import tap, { test } from 'tap';
import { createRig } from './rig.ts';
import { sayingOf } from './said.ts';

const rig = await createRig();
tap.teardown(() => rig[Symbol.asyncDispose]());
const { json, prints, refused } = sayingOf(rig);

test('networks', async (t) => {
  const blue = await json<{ id: string; subnets: object[] }>('network', 'create', 'blue');
  t.match(blue, { id: /^[0-9a-f]{64}$/, subnets: { length: 2 } });
  const red = [
    '--subnet',
    '10.2.0.0/16',
    '--subnet',
    'fd00:2::/64',
    '--gateway',
    '10.2.0.9',
    '--ip-range',
    '10.2.5.0/24',
  ];
  await prints(
    t,
    ['network', 'create', ...red, '-o', 'mtu=1400', '--opt', 'works.weave.multicast', '--internal', 'red'],
    /^[0-9a-f]{64}\n$/,
  );
  t.match(await json('network', 'inspect', 'red'), {
    name: 'red',
    mtu: 1400,
    internal: true,
    subnets: [{ cidr: '10.2.0.0/16', gateway: '10.2.0.9' }, { cidr: 'fd00:2::/64' }],
    endpoints: [],
  });
  // Of two subnets of one family, each has what is its own, in whatever order.
  const two = [
    '--gateway',
    '10.4.0.4',
    '--subnet',
    '10.3.0.0/16',
    '--ip-range',
    '10.4.8.0/24',
    '--subnet',
    '10.4.0.0/16',
    '--gateway',
    '10.3.0.3',
  ];
  t.match(await json('network', 'create', ...two, 'two'), {
    subnets: [
      { cidr: '10.3.0.0/16', gateway: '10.3.0.3' },
      { cidr: '10.4.0.0/16', gateway: '10.4.0.4' },
    ],
  });
  rig.addContainer(40);
  await prints(t, ['attach', '--network', 'two', 'net:10.4.0.0/16', 'c40'], '10.4.8.0');
  const { stdout } = await rig.run('network', 'ls');
  const lines = stdout.trimEnd().split('\n');
  t.match(lines[0], /^NETWORK ID {4}NAME {3}OWNER {2}SUBNETS$/);
  t.match(lines[1], new RegExp(`^${blue.id.slice(0, 12)}  blue   weave  10\\.`));
  t.match(lines[2], /^[0-9a-f]{12} {2}red {4}weave {2}10\.2\.0\.0\/16 fd00:2::\/64$/);
  t.same(
    (await json<{ name: string }[]>('network', 'ls')).map((n) => n.name),
    ['blue', 'red', 'two', 'weave'],
  );
  await prints(
    t,
    ['network', 'inspect', blue.id.slice(0, 12)],
    /^id: +[0-9a-f]{64}\nname: +blue\n.*\nsubnet: +10\..*\nsubnet: +fd77:/s,
  );
  await prints(t, ['network', 'inspect', 'two'], /\nendpoint: +c40 5a:77:0a:04:08:00 10\.4\.8\.0\/16\n$/);

  const create = (...args: string[]) => ['network', 'create', ...args];
  await refused(t, create('blue'), 4, /network blue already/);
  await refused(t, create('b/ue'), 2, /not a network name/);
  await refused(t, create(''), 2, /WEAVE_INVALID_REQUEST/);
  await refused(t, create('--subnet', '10.2.5.0/24', 'x'), 4, /overlaps 10\.2\.0\.0\/16 of network red/);
  await refused(t, create('--subnet', '10.9.0.1/16', 'x'), 2, /bits set/);
  await refused(t, create('--subnet', 'banana', 'x'), 2, /banana is not a subnet/);
  await refused(
    t,
    create('--subnet', 'banana', '--gateway', '10.0.0.1', 'x'),
    2,
    /10\.0\.0\.1 is in none of the subnets/,
  );
  await refused(t, create('--gateway', '10.9.0.1', 'x'), 2, /10\.9\.0\.1 is in none of the subnets/);
  await refused(t, create('--ip-range', '10.9.0.0/24', 'x'), 2, /10\.9\.0\.0\/24 is in none of the subnets/);
  await refused(t, create('--subnet', '10.9.0.0/16', '--gateway', 'fd00::1', 'x'), 2, /fd00::1 is in none/);
  await refused(t, create('--subnet', '10.9.0.0/16', '--gateway', '10.8.0.1', 'x'), 2, /10\.8\.0\.1 is in none/);
  await refused(
    t,
    create('--subnet', '10.9.0.0/16', '--gateway', '10.9.0.1', '--gateway', '10.9.0.2', 'x'),
    2,
    /are both of 10\.9/,
  );
  await refused(
    t,
    create('--subnet', '10.9.0.0/24', '--ip-range', '10.9.0.0/16', 'x'),
    2,
    /not inside 10\.9\.0\.0\/24/,
  );
  await refused(t, create('--subnet', '10.9.0.0/33', 'x'), 2, /not a subnet/);
  await refused(t, create('-o', 'colour=red', 'x'), 2, /unknown option colour\n.*Known options are: mtu/);
  await refused(t, create('-o', 'mtu', 'x'), 2, /mtu= is not possible/);
  await refused(t, create('-o', '=', 'x'), 2, /unknown option /);
  await refused(t, create('-o', '__proto__=x', 'x'), 2, /WEAVE_/);

  await refused(t, ['network', 'inspect', 'nosuch'], 3, /there is no network nosuch/);
  await refused(t, ['network', 'rm', 'two'], 4, /in use by container c40/);
  await prints(t, ['network', 'create', '--subnet', '10.90.0.0/24', 'grows'], /^[0-9a-f]{64}\n$/);
  await prints(t, ['network', 'grow', 'grows', '10.90.0.0/23'], '10.90.0.0/23');
  t.match(await json('network', 'grow', 'grows', '10.90.0.0/22'), { subnets: [{ cidr: '10.90.0.0/22' }] });
  await refused(
    t,
    ['network', 'grow', 'grows', '10.91.0.0/16'],
    2,
    /no subnet of network grows lies in 10\.91\.0\.0\/16/,
  );
  await prints(t, ['network', 'rm', 'grows'], 'grows');
  await refused(t, ['network', 'rm', 'blue', 'nosuch', 'red'], 3, /no network nosuch/);
  const partly = await rig.run('network', 'rm', 'blue', 'two', 'red');
  t.match(partly, { code: 4, stdout: 'blue\n', stderr: /two is in use/ }, 'what was removed is said');
  t.same(await json('network', 'rm', 'red', 'red'), { removed: ['red'] }, 'twice the same is once');
  await prints(t, ['detach', '--network', 'two', 'c40'], '10.4.8.0');
  await prints(t, ['network', 'rm', 'two'], 'two');
});
