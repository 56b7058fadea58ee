import { test } from 'tap';
import { hosts, type Member, until } from './members.ts';

test('a subnet that is used up is made larger, everywhere', async (t) => {
  const { all } = await hosts(t, 2);
  const [a, b] = all as [Member, Member];
  await a.rig.here.networks.create({ name: 'tiny', subnets: [{ cidr: '10.9.0.0/28' }] });
  const sees = async ({ rig }: Member, text: string) =>
    (await rig.here.networks.list()).some((n) => n.name === 'tiny' && n.subnets[0]?.cidr === text);
  await until(() => sees(b, '10.9.0.0/28'), 'b knows it');
  const on = async (member: Member, name: string, ...addresses: string[]) => {
    member.rig.run(name);
    return (await member.rig.here.attach({ container: name }, addresses, { network: 'tiny' })).addresses[0]!;
  };
  const got: string[] = [];
  for (let i = 0; i < 14; i++) got.push(await on(i % 2 ? a : b, `c${i}`));
  await t.rejects(on(b, 'late'), { code: 'WEAVE_POOL_EXHAUSTED' });
  t.match(await b.rig.here.networks.grow('tiny', '10.9.0.0/24'), { subnets: [{ cidr: '10.9.0.0/24' }] });
  await until(() => sees(a, '10.9.0.0/24'), 'a follows');
  const inKernel = ({ rig }: Member) => (rig.datapath.listing().match(/address 10\.9\.0\.\d+\/\d+/g) ?? []).sort();
  const held = [...inKernel(a), ...inKernel(b)].map((text) => text.replace('address ', ''));
  t.strictSame(held.sort(), got.map((text) => text.replace('/28', '/24')).sort(), 'all that is attached, where it is');
  for (let i = 14; i < 30; i++) got.push(await on(i % 2 ? a : b, `c${i}`));
  t.equal(new Set(got.map((text) => text.split('/')[0])).size, 30, 'no address twice');
  await t.rejects(b.rig.here.networks.create({ name: 'other', subnets: [{ cidr: '10.9.0.128/25' }] }), {
    code: 'WEAVE_SUBNET_OVERLAP',
  });
});

test('a subnet does not grow around an address that a host has by itself, nor the other way round', async (t) => {
  const { all } = await hosts(t, 2);
  const [a, b] = all as [Member, Member];
  await a.rig.here.networks.create({ name: 'blue', subnets: [{ cidr: '10.9.0.0/24' }] });
  const sees = async ({ rig }: Member, text: string) =>
    (await rig.here.networks.list()).some((n) => n.name === 'blue' && n.subnets[0]?.cidr === text);
  await until(() => sees(b, '10.9.0.0/24'), 'b knows it');
  a.rig.run('mine');
  await a.rig.here.attach({ container: 'mine' }, ['10.9.1.7/24'], { network: 'blue' });
  await t.rejects(b.rig.here.networks.grow('blue', '10.9.0.0/23'), {
    code: 'WEAVE_ADDRESS_IN_USE',
    message: /^10\.9\.1\.7 on network blue is in use on host/,
  });
  await a.rig.here.detach({ container: 'mine' }, [], { network: 'blue' });
  const races = Array.from({ length: 10 }, async (_, i) => {
    const name = `r${i}`;
    await a.rig.here.networks.create({ name, subnets: [{ cidr: `10.${100 + i}.0.0/24` }] });
    await until(async () => (await b.rig.here.networks.list()).some((n) => n.name === name), `b knows ${name}`);
    b.rig.run(name);
    const [grown, attached] = await Promise.allSettled([
      a.rig.here.networks.grow(name, `10.${100 + i}.0.0/23`),
      b.rig.here.attach({ container: name }, [`10.${100 + i}.1.1/23`], { network: name }),
    ]);
    t.equal(attached.status, 'fulfilled', 'who asks for an address gets it, of the subnet or by itself');
    const [network] = (await a.rig.here.networks.list()).filter((n) => n.name === name);
    t.equal(grown.status === 'fulfilled', network!.subnets[0]!.cidr.endsWith('/23'));
    if (grown.status === 'fulfilled')
      await t.rejects(a.rig.here.attach({ container: 'mine' }, [`10.${100 + i}.1.1/23`], { network: name }), {
        code: 'WEAVE_ADDRESS_IN_USE',
      });
  });
  await Promise.all(races);
});
