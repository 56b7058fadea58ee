import { type Directory, keys, State } from '@weave/core';
import { memoryDirectory } from '@weave/core/testing';
import { type Test, test } from 'tap';
import { moveTo } from '../../src/cluster/leave.ts';
import { createRig, type Rig } from '../rig.ts';
import { attach, hosts, type Member, until } from './members.ts';

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

/** As a daemon that ended and begins in this store. */
async function movedTo(t: Test, rig: Rig, store: string, directory: Directory): Promise<Rig> {
  await rig.here.close();
  const again = rig.store.reopen();
  const state = new State('self');
  state.apply(again.load());
  moveTo(store, { state, commit: (changes) => again.append(changes) });
  const next = await rig.restart(directory);
  t.teardown(() => next[Symbol.asyncDispose]());
  return next;
}

test('from the cluster that it had just begun, where nobody else came to be of it', async (t) => {
  const { all, directory } = await hosts(t, 1);
  await all[0]!.rig.here.networks.create({ name: 'blue', subnets: [{ cidr: '10.9.0.0/24' }] });
  const left = await lone(t, '10.32.5.1/12');
  const first = await movedTo(t, left, 'first', memoryDirectory().client());
  await until(async () => (await first.here.status()).cluster?.id !== undefined, 'it begins a cluster');
  const again = await movedTo(t, first, 'first', memoryDirectory().client());
  t.match(await refusal(again), /directory is empty/, 'one that is lost is not another');
  const second = await movedTo(t, again, 'second', directory.client());
  await until(async () => (await namesOn(second)).includes('blue'), 'it joins the next');
  await until(async () => (await namesOn(all[0]!.rig)).includes('own'), 'with what it has');
});

test('from a cluster of others', async (t) => {
  const { all } = await hosts(t, 2);
  const { directory } = await hosts(t, 1);
  const first = await movedTo(t, all[0]!.rig, 'first', all[0]!.client);
  const second = await movedTo(t, first, 'second', directory.client());
  t.match(await refusal(second), /belongs to cluster/);
});

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
