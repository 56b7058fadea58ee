import { keys } from '@weave/core';
import { test } from 'tap';
import { createRig } from '../rig.ts';
import { attach, hosts, type Member, seenBy, until } from './members.ts';

test('two hosts hand out different addresses, and know of each other', async (t) => {
  const { all } = await hosts(t, 2);
  const [a, b] = all as [Member, Member];
  const got = [await attach(a, 'a1'), await attach(b, 'b1'), await attach(a, 'a2'), await attach(b, 'b2')];
  t.strictSame(
    got.map(({ addresses }) => addresses[0]),
    ['10.32.0.1/12', '10.32.0.64/12', '10.32.0.2/12', '10.32.0.65/12'],
    'each from its own cell, the lowest first',
  );
  await until(async () => (await seenBy(a)).length === 8 && (await seenBy(b)).length === 8, 'both see all four');
  t.strictSame(await seenBy(a), await seenBy(b));
  t.match(a.rig.datapath.listing(), '5a:77:0a:20:00:40', 'what is on the other host is in the forwarding table');
  await b.rig.here.detach({ container: 'b1' });
  await until(async () => (await seenBy(a)).length === 6, 'what goes there goes here');
  await a.rig.here.detach({ container: 'a1' });
  await a.rig.here.detach({ container: 'a2' });
  await until(async () => (await seenBy(a)).length === 0, 'a host knows nothing of networks that it is not on');
});

test('a network is everywhere, and is not removed while it is in use anywhere', async (t) => {
  const { all } = await hosts(t, 2);
  const [a, b] = all as [Member, Member];
  const blue = await a.rig.here.networks.create({ name: 'blue', subnets: [{ cidr: '10.9.0.0/24' }] });
  await until(async () => (await b.rig.here.networks.list()).some((n) => n.name === 'blue'), 'b knows it');
  t.match(await b.rig.here.networks.inspect('blue'), { id: blue.id, vni: blue.vni });
  await t.rejects(b.rig.here.networks.create({ name: 'blue' }), { code: 'WEAVE_NETWORK_EXISTS' });
  await t.rejects(b.rig.here.networks.create({ name: 'green', subnets: [{ cidr: '10.9.0.0/16' }] }), {
    code: 'WEAVE_SUBNET_OVERLAP',
  });
  b.rig.run('web');
  await b.rig.here.attach({ container: 'web' }, [], { network: 'blue' });
  await t.rejects(a.rig.here.networks.remove('blue'), {
    code: 'WEAVE_NETWORK_IN_USE',
    message: /web on host/,
  });
  await b.rig.here.detach({ container: 'web' }, [], { network: 'blue' });
  await a.rig.here.networks.remove('blue');
  await until(async () => !(await b.rig.here.networks.list()).some((n) => n.name === 'blue'), 'it is gone on b');
});

test('networks made at the same moment', async (t) => {
  const { all } = await hosts(t, 3);
  const made = await Promise.allSettled(all.map(({ rig }) => rig.here.networks.create({ name: 'blue' })));
  t.equal(made.filter(({ status }) => status === 'fulfilled').length, 1, 'one of one name');
  const others = await Promise.all(all.map(({ rig }, i) => rig.here.networks.create({ name: `n${i}` })));
  const subnets = others.flatMap((n) => n.subnets.map((s) => s.cidr));
  t.equal(new Set(subnets).size, subnets.length, 'no subnet twice');
  t.equal(new Set(others.map((n) => n.vni)).size, 3, 'no VNI twice');
});

test('an address that somebody asks for', async (t) => {
  const { all } = await hosts(t, 2);
  const [a, b] = all as [Member, Member];
  await attach(a, 'a1');
  await t.rejects(attach(b, 'b1', '10.32.0.1/12'), { code: 'WEAVE_ADDRESS_IN_USE', message: /container a1.* on host/ });
  t.strictSame((await attach(b, 'b1', '10.32.0.7/12')).addresses, ['10.32.0.7/12'], 'free in a cell of a: a gives it');
  await t.rejects(attach(a, 'a2', '10.32.0.7/12'), { code: 'WEAVE_ADDRESS_IN_USE' }, 'and a has it no more');
  t.strictSame(
    (await attach(b, 'b2', '10.40.0.1/12')).addresses,
    ['10.40.0.1/12'],
    'in nobody’s cell: b takes the cell',
  );
  t.strictSame((await attach(a, 'a3', '192.168.7.7/24')).addresses, ['192.168.7.7/24'], 'in no pool');
  await t.rejects(attach(b, 'b3', '192.168.7.7/24'), { code: 'WEAVE_ADDRESS_IN_USE', message: /on host/ });
  await a.rig.here.detach({ container: 'a3' });
  await until(
    async () =>
      attach(b, 'b3', '192.168.7.7/24').then(
        () => true,
        () => false,
      ),
    'it is free again',
  );
  const all200 = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => attach(i % 2 ? a : b, `x${i}`, '10.50.0.9/12')),
  );
  t.equal(all200.filter(({ status }) => status === 'fulfilled').length, 1, 'asked for by all at once, one gets it');
});

test('a pool is used to its last address, wherever that is', async (t) => {
  const { all } = await hosts(t, 2);
  const [a, b] = all as [Member, Member];
  await a.rig.here.networks.create({ name: 'tiny', subnets: [{ cidr: '10.9.0.0/28' }] });
  await until(async () => (await b.rig.here.networks.list()).some((n) => n.name === 'tiny'), 'b knows it');
  const on = async (member: Member, name: string) => {
    member.rig.run(name);
    return (await member.rig.here.attach({ container: name }, [], { network: 'tiny' })).addresses[0]!;
  };
  const got: string[] = [];
  for (let i = 0; i < 14; i++) got.push(await on(i % 3 ? a : b, `c${i}`));
  t.equal(new Set(got).size, 14, 'fourteen hosts are in it, each once');
  await t.rejects(on(b, 'late'), { code: 'WEAVE_POOL_EXHAUSTED', message: /hold: .* \d+/ });
});

test('cut off, a host goes on with what is its own', async (t) => {
  const { directory, all } = await hosts(t, 2);
  const [a, b] = all as [Member, Member];
  await attach(a, 'a1');
  await attach(b, 'b1');
  b.client.cut();
  await until(async () => (await b.rig.here.status()).cluster?.reachable === false, 'b notices');
  await attach(b, 'b2');
  await t.rejects(b.rig.here.networks.create({ name: 'blue' }), { code: 'WEAVE_DIRECTORY_UNREACHABLE' });
  await t.rejects(attach(b, 'b3', '10.60.0.1/12'), { code: 'WEAVE_DIRECTORY_UNREACHABLE' });
  await attach(a, 'a2');
  directory.compact();
  b.client.heal();
  await until(async () => (await seenBy(a)).length === 8 && (await seenBy(b)).length === 8, 'all is known again');
  t.strictSame(await seenBy(a), await seenBy(b));
});

test('a daemon that is killed knows the others when it starts, and they it', async (t) => {
  const { directory, all } = await hosts(t, 2);
  const [a, b] = all as [Member, Member];
  await attach(a, 'a1');
  await attach(b, 'b1');
  await until(async () => (await seenBy(a)).length === 4, 'a sees b');
  const before = await seenBy(a);
  a.client.cut();
  const again = await a.rig.restart();
  t.teardown(() => again[Symbol.asyncDispose]());
  t.strictSame(await seenBy({ rig: again, client: a.client }), before, 'without a directory it still knows them');
  await again.here.close();
  const client = directory.client();
  const third = await again.restart(client);
  t.teardown(() => third[Symbol.asyncDispose]());
  await attach(b, 'b2');
  await until(async () => (await seenBy({ rig: third, client })).length === 6, 'and follows them again');
});

test('what is asked for while the directory is on its way waits for it, but not for ever', async (t) => {
  const { all } = await hosts(t, 1);
  const [a] = all as [Member];
  await attach(a, 'a1', '192.168.7.1/24');
  const unreachable = async () => (await a.rig.here.status()).cluster?.reachable === false;
  a.client.cut();
  await until(unreachable, 'it notices');
  const asked = attach(a, 'a2', '192.168.7.2/24');
  setTimeout(() => a.client.heal(), 500);
  t.match(await asked, { addresses: ['192.168.7.2/24'] });
  a.client.cut();
  await until(unreachable, 'it notices again');
  await t.rejects(attach(a, 'a3', '192.168.7.3/24'), {
    code: 'WEAVE_DIRECTORY_UNREACHABLE',
    message: /192\.168\.7\.3/,
  });
  t.strictSame(await seenBy(a), ['192.168.7.1/24', '192.168.7.2/24']);
});

test('a listing that is older than the news takes nothing away', async (t) => {
  const { all, directory } = await hosts(t, 1);
  const [a] = all as [Member];
  const client = directory.client();
  let meanwhile: (() => Promise<void>) | undefined;
  const rig = await createRig({
    underlay: '192.0.2.2',
    directory: {
      ...client,
      async list(prefix) {
        const listed = await client.list(prefix);
        if (prefix !== keys.definitions || !meanwhile) return listed;
        const work = meanwhile;
        meanwhile = undefined;
        await work();
        return listed;
      },
    },
  });
  t.teardown(() => rig[Symbol.asyncDispose]());
  await until(async () => (await rig.here.status()).cluster?.id !== undefined, 'it has joined');
  const knows = async (name: string) => (await rig.here.networks.list()).some((n) => n.name === name);
  await a.rig.here.networks.create({ name: 'blue', subnets: [{ cidr: '10.9.0.0/24' }] });
  await until(() => knows('blue'), 'b knows it');
  const use = () => rig.here.attach({ container: rig.run('web').name }, [], { network: 'blue' });
  await use();
  await rig.here.detach({ container: 'web' }, [], { network: 'blue' });
  // Removed on the one host while it comes to be in use on the other: that one compares all.
  client.cut();
  await use();
  await a.rig.here.networks.remove('blue');
  const told: string[] = [];
  meanwhile = async () => {
    const late = await a.rig.here.networks.create({ name: 'late', subnets: [{ cidr: '10.10.0.0/24' }] });
    await until(() => knows('late'), 'b is told of it');
    await rig.here.detach({ container: 'web' }, [], { network: 'blue' });
    void listen(late.id);
  };
  async function listen(id: string): Promise<void> {
    for await (const event of rig.here.events()) if (event.id === id) told.push(event.action);
  }
  client.heal();
  await until(async () => !(await knows('blue')), 'what is in no use goes');
  t.ok(await knows('late'));
  t.strictSame(told, [], 'what was listed too early stayed all the time');
});
