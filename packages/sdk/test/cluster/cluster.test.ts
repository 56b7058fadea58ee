import { keys } from '@weave/core';
import { type MemoryDirectory, memoryDirectory } from '@weave/core/testing';
import { type Test, test } from 'tap';
import type { Endpoint } from '../../src/index.ts';
import { createRig, type Rig } from '../rig.ts';

interface Member {
  rig: Rig;
  client: ReturnType<MemoryDirectory['client']>;
}

async function hosts(t: Test, count: number): Promise<{ directory: MemoryDirectory; all: Member[] }> {
  const directory = memoryDirectory();
  const all: Member[] = [];
  for (let i = 0; i < count; i++) {
    const client = directory.client();
    const rig = await createRig({ directory: client, underlay: `192.0.2.${i + 1}` });
    t.teardown(() => rig[Symbol.asyncDispose]());
    all.push({ rig, client });
    await until(async () => (await rig.here.status()).cluster?.id !== undefined, 'it has joined');
  }
  return { directory, all };
}

async function until(holds: () => boolean | Promise<boolean>, what: string, ms = 3000): Promise<void> {
  for (const end = Date.now() + ms; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`not so after ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const attach = ({ rig }: Member, name: string, ...addresses: string[]) =>
  rig.here.attach({ container: rig.run(name).name }, addresses);

const seenBy = async ({ rig }: Member): Promise<string[]> =>
  (await rig.here.endpoints.list({ everywhere: true })).flatMap((e: Endpoint) => e.addresses).sort();

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

test('a host that has other things than the cluster is not let in, and left as it was', async (t) => {
  const { all, directory } = await hosts(t, 1);
  await attach(all[0]!, 'a1');
  await all[0]!.rig.here.networks.create({ name: 'blue', subnets: [{ cidr: '10.9.0.0/24' }] });
  const alone = await createRig();
  t.teardown(() => alone[Symbol.asyncDispose]());
  alone.run('mine');
  await alone.here.attach({ container: 'mine' });
  await alone.here.close();
  const joining = await alone.restart(directory.client());
  t.teardown(() => joining[Symbol.asyncDispose]());
  await until(async () => !!(await joining.here.status()).cluster?.problem, 'it says why');
  const { cluster } = await joining.here.status();
  t.match(cluster?.problem, /both use addresses of 10\.32\.0\.0\/26: here 10\.32\.0\.1 \(mine\)/);
  t.equal(cluster?.id, undefined);
  await joining.here.detach({ container: 'mine' });
  await until(
    async () => (await joining.here.status()).cluster?.id !== undefined,
    'once it is gone, it is let in',
    6000,
  );
  t.ok((await joining.here.networks.list()).some((n) => n.name === 'blue'));
});

/** A host with one network of the cluster's and one of its own, both in use. */
async function lone(t: Test, address: string): Promise<Rig> {
  const rig = await createRig();
  t.teardown(() => rig[Symbol.asyncDispose]());
  for (const name of ['mine', 'other']) rig.run(name);
  await rig.here.attach({ container: 'mine' }, [address]);
  await rig.here.networks.create({ name: 'own', subnets: [{ cidr: '10.20.0.0/24' }] });
  await rig.here.attach({ container: 'other' }, [], { network: 'own' });
  await rig.here.close();
  return rig;
}

const refusal = async ({ here }: Rig): Promise<string> => {
  await until(async () => !!(await here.status()).cluster?.problem, 'it says why');
  return (await here.status()).cluster!.problem!;
};
const namesOn = async ({ here }: Rig) => (await here.networks.list()).map(({ name }) => name);

test('who is refused leaves nothing behind', async (t) => {
  const { all, directory } = await hosts(t, 1);
  const [a] = all as [Member];
  await attach(a, 'a1');
  await a.rig.here.networks.create({ name: 'blue', subnets: [{ cidr: '10.9.0.0/24' }] });
  const rig = await lone(t, '10.32.0.1/12');
  const shared = () => directory.entries('/weave/').filter(({ key }) => !key.startsWith('/weave/definition/guard'));
  const before = shared();
  const joining = await rig.restart(directory.client());
  t.teardown(() => joining[Symbol.asyncDispose]());
  t.match(await refusal(joining), /both use addresses of 10\.32\.0\.0\/26: here 10\.32\.0\.1 \(mine\)/);
  await joining.here.close();
  t.strictSame(shared(), before, 'in the directory');
  t.strictSame(await namesOn(a.rig), ['blue', 'weave'], 'nor with the others');
  const again = await joining.restart();
  t.teardown(() => again[Symbol.asyncDispose]());
  t.strictSame(await namesOn(again), ['own', 'weave'], 'nor here');
});

test('who is refused as another was faster takes back what it told', async (t) => {
  const { all, directory } = await hosts(t, 1);
  const [a] = all as [Member];
  const rig = await lone(t, '10.32.5.1/12');
  const client = directory.client();
  let isTold = false;
  const joining = await rig.restart({
    ...client,
    async commit(transaction) {
      const done = await client.commit(transaction);
      const tells = transaction.writes.some((write) => 'key' in write && write.key.startsWith(keys.network('')));
      if (tells && done && !isTold) {
        isTold = true;
        await attach(a, 'a1', '10.32.5.1/12');
      }
      return done;
    },
  });
  t.teardown(() => joining[Symbol.asyncDispose]());
  t.match(await refusal(joining), /both use addresses of 10\.32\.5\.0\/26/);
  t.ok(isTold);
  await joining.here.close();
  await until(async () => !(await namesOn(a.rig)).includes('own'), 'the others have it not');
  t.strictSame(
    directory
      .entries(keys.pool(''))
      .map(({ key }) => key)
      .filter((key) => key.includes('10.20')),
    [],
  );
});

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
