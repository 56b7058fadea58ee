import { type Directory, keys, State, type Transaction } from '@weave/core';
import { memoryDirectory, memoryFirewall } from '@weave/core/testing';
import { type Test, test } from 'tap';
import { createCluster } from '../../src/cluster/cluster.ts';
import { chunks } from '../../src/cluster/context.ts';
import { createHost } from '../../src/host.ts';
import { createRig, type Rig } from '../rig.ts';
import { attach, hosts, type Member, until } from './members.ts';

/* What a host finds that was cut off, or whose directory was lost. */

const hex = (n: number) => n.toString(16).repeat(64).slice(0, 64);
const inStep = async ({ here }: Rig) => {
  const { cluster } = await here.status();
  return cluster?.id !== undefined && cluster.reachable && !cluster.problem;
};
const idOf = async ({ rig }: Member) => (await rig.here.status()).peer.id;
const knows = async ({ rig }: Member, name: string) =>
  (await rig.here.networks.list()).some((network) => network.name === name);

/** A host whose transactions can be stopped on their way. */
async function watched(t: Test, directory: Directory, underlay: string) {
  const hooks: { before?: (transaction: Transaction) => Promise<void> | undefined } = {};
  const rig = await createRig({
    underlay,
    clock: Date.now,
    directory: {
      ...directory,
      async commit(transaction) {
        await hooks.before?.(transaction);
        return directory.commit(transaction);
      },
    },
  });
  t.teardown(() => rig[Symbol.asyncDispose]());
  return { rig, hooks };
}

const writes = ({ writes }: Transaction, key: string) => writes.some((write) => 'key' in write && write.key === key);

test('an engine’s endpoint on a network that another one took the place of', async (t) => {
  const { all } = await hosts(t, 2);
  const [a, b] = all as [Member, Member];
  const subnets = [{ cidr: '10.9.0.0/24' }];
  const blue = await a.rig.here.networks.create({ name: 'blue', subnets });
  await until(() => knows(b, 'blue'), 'b knows it');
  const container = b.rig.run('web');
  await b.rig.here.attach({ container: 'web' }, [], { network: 'blue' });
  await b.rig.here.detach({ container: 'web' }, [], { network: 'blue' });
  b.client.cut();
  const address = await b.rig.here.pools.requestAddress(blue.subnets[0]!.pool!);
  await b.rig.here.endpoints.create({ id: hex(1), network: blue.id, addresses: [address] });
  await b.rig.here.endpoints.attach(hex(1), `/proc/${container.pid}/ns/net`);
  await a.rig.here.networks.remove('blue');
  await a.rig.here.networks.create({ name: 'red', subnets });
  b.client.heal();
  await until(() => knows(b, 'red'), 'b has what the others have');
  t.notOk(await knows(b, 'blue'));
  t.notMatch(b.rig.datapath.listing(), address, 'and the container is cut off');
  await until(() => inStep(b.rig), 'it is in step');
  await b.rig.here.endpoints.detach(hex(1));
  await b.rig.here.endpoints.remove(hex(1));
  t.match(await b.rig.here.attach({ container: 'web' }, [], { network: 'red' }), { addresses: [/^10\.9\.0\./] });
});

test('whose was which address is settled between all who come back to an empty directory', async (t) => {
  const directory = memoryDirectory();
  const [a, b] = [await watched(t, directory.client(), '192.0.2.1'), await watched(t, directory.client(), '192.0.2.2')];
  const on = ({ rig }: typeof a, name: string, ...addresses: string[]) =>
    rig.here.attach({ container: rig.run(name).name }, addresses);
  await until(() => inStep(a.rig), 'a has joined');
  await on(a, 'a1');
  await until(() => inStep(b.rig), 'b has joined');
  t.match(await on(b, 'b1', '10.32.0.7/12'), { addresses: ['10.32.0.7/12'] }, 'of what is a’s');
  const given = keys.cell('weave:10.32.0.0/12', '10.32.0.7/32');
  let waited = false;
  a.hooks.before = async (transaction) => {
    if (waited || !writes(transaction, keys.cell('weave:10.32.0.0/12', '10.32.0.0/26'))) return;
    waited = true;
    await until(() => directory.entries(given).length > 0, 'b takes its address back first');
  };
  directory.loseData();
  await a.rig.here.cluster.rebuild();
  await until(async () => (await inStep(a.rig)) && (await inStep(b.rig)), 'both are in step', 9000);
  t.ok(waited);
  const addresses = async ({ rig }: typeof a) => (await rig.here.endpoints.list()).map((e) => e.addresses[0]);
  t.strictSame(await addresses(a), ['10.32.0.1/12'], 'nobody is cut off');
  t.strictSame(await addresses(b), ['10.32.0.7/12']);
});

test('nobody new is let in while they come back', async (t) => {
  const directory = memoryDirectory();
  const { rig } = await watched(t, directory.client(), '192.0.2.1');
  await until(() => inStep(rig), 'a has joined');
  await rig.here.attach({ container: rig.run('a1').name });
  directory.loseData();
  await rig.here.cluster.rebuild();
  const late = await createRig({ directory: directory.client(), underlay: '192.0.2.9' });
  t.teardown(() => late[Symbol.asyncDispose]());
  await new Promise((resolve) => setTimeout(resolve, 1000));
  t.equal((await late.here.status()).cluster?.id, undefined);
  t.strictSame(
    directory.entries(keys.cells('weave:10.32.0.0/12')).map(({ value }) => value),
    [(await rig.here.status()).peer.id],
  );
  await until(() => inStep(late), 'then it is', 12_000);
  t.strictSame(directory.entries(keys.settling), []);
});

test('an owner that cannot tell whether it gave', async (t) => {
  const directory = memoryDirectory();
  const client = directory.client();
  const { rig, hooks } = await watched(t, client, '192.0.2.1');
  await until(() => inStep(rig), 'a has joined');
  await rig.here.networks.create({ name: 'tiny', subnets: [{ cidr: '10.9.0.0/30' }] });
  const b = await createRig({ directory: directory.client(), underlay: '192.0.2.2' });
  t.teardown(() => b[Symbol.asyncDispose]());
  await until(() => inStep(b), 'b has joined');
  const on = ({ here, run }: Rig, name: string, ...addresses: string[]) =>
    here.attach({ container: run(name).name }, addresses, { network: 'tiny' });
  await on(b, 'b1', '10.9.0.1/30');
  await on(rig, 'a1', '10.9.0.2/30');
  await rig.here.detach({ container: 'a1' }, [], { network: 'tiny' });
  const cells = () => directory.entries(keys.cells('weave:10.9.0.0/30')).map(({ key, value }) => ({ key, value }));
  const before = cells();
  hooks.before = async (transaction) => {
    if (writes(transaction, keys.cell('weave:10.9.0.0/30', '10.9.0.2/32'))) client.cut();
  };
  await t.rejects(on(b, 'b2'), { code: 'WEAVE_POOL_EXHAUSTED' });
  t.strictSame(cells(), before, 'it is a’s still');
  delete hooks.before;
  client.heal();
  await until(() => inStep(rig), 'a is back');
  t.match(await on(b, 'b2'), { addresses: ['10.9.0.2/30'] }, 'and knows it');
});

test('cells of a pool that was divided in another way', async (t) => {
  const { all, directory } = await hosts(t, 2);
  const [a, b] = all as [Member, Member];
  await a.rig.here.networks.create({ name: 'blue', subnets: [{ cidr: '10.9.0.0/24' }] });
  await a.rig.here.networks.grow('blue', '10.8.0.0/15');
  await until(async () => (await b.rig.here.networks.inspect('blue')).subnets[0]?.cidr === '10.8.0.0/15', 'b follows');
  const left = { key: keys.cell('weave:10.9.0.0/24', '10.9.1.8/29'), value: await idOf(b) };
  await directory.client().commit({ writes: [left] });
  const on = ({ rig }: Member, name: string, ...addresses: string[]) =>
    rig.here.attach({ container: rig.run(name).name }, addresses, { network: 'blue' });
  await t.rejects(on(a, 'a1', '10.9.1.1/15'), { code: 'WEAVE_ADDRESS_IN_USE' }, 'nothing is taken around it');
  await on(a, 'a2', 'net:10.9.1.0/24').catch(() => undefined);
  const owned = directory.entries(keys.cells('weave:10.9.0.0/24')).map(({ key }) => key);
  t.notOk(owned.some((key) => key.endsWith('10.9.1.0_26')));
  await on(b, 'b1');
  b.client.cut();
  await until(async () => !(await inStep(b.rig)), 'b notices');
  b.client.heal();
  await until(() => directory.entries(left.key).length === 0, 'its owner gives it back');
  t.match(await on(a, 'a1', '10.9.1.1/15'), { addresses: ['10.9.1.1/15'] });
});

test('keys of cells and claims that nobody can read', async (t) => {
  const { all, directory } = await hosts(t, 1);
  const [a] = all as [Member];
  const cells = keys.cells('weave:10.32.0.0/12');
  const blue = await a.rig.here.networks.create({ name: 'blue', subnets: [{ cidr: '10.9.0.0/28' }] });
  const value = await idOf(a);
  const other = directory.client();
  for (const key of [`${cells}x`, `${cells}10.32.9.1_26`, `${cells}fd00::_122`, keys.claim(blue.id, 'x')])
    await other.commit({ writes: [{ key, value }] });
  await other.commit({ writes: [{ key: `${cells}10.32.0.0_26`, value: '{}' }] });
  t.match(await attach(a, 'a1'), { addresses: [/^10\.32\./] });
  await a.rig.here.networks.grow('blue', '10.9.0.0/24');
  t.equal((await a.rig.here.cluster.pools()).length > 0, true);
  await a.rig.here.close();
  const again = await a.rig.restart(directory.client());
  t.teardown(() => again[Symbol.asyncDispose]());
  await until(() => inStep(again), 'it is back');
});

test('what goes on while the others are asked whether a subnet may grow', async (t) => {
  const directory = memoryDirectory();
  const { rig, hooks } = await watched(t, directory.client(), '192.0.2.1');
  await until(() => inStep(rig), 'it has joined');
  const blue = await rig.here.networks.create({ name: 'blue', subnets: [{ cidr: '10.9.0.0/24' }] });
  const on = (name: string) => rig.here.attach({ container: rig.run(name).name }, [], { network: 'blue' });
  await on('goes');
  await on('stays');
  hooks.before = async (transaction) => {
    if (!writes(transaction, keys.network(blue.id))) return;
    delete hooks.before;
    await rig.here.detach({ container: 'goes' }, [], { network: 'blue' });
    await on('comes');
  };
  await rig.here.networks.grow('blue', '10.9.0.0/23');
  const there = (await rig.here.networks.inspect('blue')).endpoints.map((e) => [e.container?.name, e.addresses[0]]);
  t.strictSame(there.sort(), [
    ['comes', '10.9.0.1/23'],
    ['stays', '10.9.0.2/23'],
  ]);
  t.equal(rig.datapath.listing().match(/address 10\.9\.0\.\d+\/23/g)?.length, 2);
});

test('a network that is made while its host joins at the second try', async (t) => {
  const { all, directory } = await hosts(t, 1);
  const [a] = all as [Member];
  const alone = await createRig();
  t.teardown(() => alone[Symbol.asyncDispose]());
  await alone.here.attach({ container: alone.run('mine').name }, ['10.40.0.1/12']);
  await alone.here.close();
  const client = directory.client();
  let tries = 0;
  let made: Promise<unknown> | undefined;
  const joining = await alone.restart({
    ...client,
    async commit(transaction) {
      const takes = transaction.writes.some((write) => 'key' in write && write.key.startsWith(keys.allCells));
      if (takes && ++tries === 1) throw new Error('as the test wants it');
      if (takes && tries === 2) {
        made = joining.here.networks.create({ name: 'late', subnets: [{ cidr: '10.20.0.0/24' }] });
        await made;
      }
      return client.commit(transaction);
    },
  });
  t.teardown(() => joining[Symbol.asyncDispose]());
  await until(() => inStep(joining), 'it has joined', 9000);
  t.ok(made);
  await until(() => knows(a, 'late'), 'all know it');
  t.ok((await joining.here.networks.list()).some(({ name }) => name === 'late'));
});

test('what cannot be recorded here is not decided against', async (t) => {
  const { all, directory } = await hosts(t, 1);
  const [a] = all as [Member];
  let isFull = false;
  const b = await createRig({
    directory: directory.client(),
    underlay: '192.0.2.2',
    wrapStore: (store) => ({
      ...store,
      append(changes) {
        if (isFull) throw new Error('the disk is full');
        store.append(changes);
      },
    }),
  });
  t.teardown(() => b[Symbol.asyncDispose]());
  await until(() => inStep(b), 'b has joined');
  isFull = true;
  await a.rig.here.networks.create({ name: 'red' });
  await t.rejects(b.here.networks.create({ name: 'green' }), { code: 'WEAVE_STORE_FAILED' });
  t.equal(directory.entries(keys.network('')).length, 2, 'nothing was told');
  isFull = false;
  const green = await b.here.networks.create({ name: 'green' });
  const red = await a.rig.here.networks.inspect('red');
  t.not(green.subnets[0]?.cidr, red.subnets[0]?.cidr);
});

test('who is not to begin a cluster does not, also when it ends meanwhile', async (t) => {
  const directory = memoryDirectory();
  const rig = await createRig();
  t.teardown(() => rig[Symbol.asyncDispose]());
  const state = new State('self');
  state.apply(rig.store.load());
  const host = createHost({
    ...{ state, store: rig.store, datapath: rig.datapath, firewall: memoryFirewall(), switchFilter: memoryFirewall() },
    ...{ clock: Date.now, log: () => undefined, emit: () => undefined, trusted: true },
  });
  const cluster = createCluster(host, directory.client(), { founds: false });
  const joined = cluster.joined();
  await until(() => cluster.context.reachable, 'it has found the directory');
  await Promise.all([t.rejects(joined, { code: 'WEAVE_DIRECTORY_UNREACHABLE' }), cluster.close()]);
  t.strictSame(directory.entries(keys.cluster), []);
});

test('what is told is told in parts that fit', async (t) => {
  const write = (length: number, n: number) => ({ key: `k${n}`, value: 'x'.repeat(length) });
  const sizes = (list: { key: string; value: string | null }[]) => [...chunks(list)].map((part) => part.length);
  t.strictSame(sizes(Array.from({ length: 250 }, (_, n) => write(10, n))), [100, 100, 50]);
  t.strictSame(sizes(Array.from({ length: 20 }, (_, n) => write(25_000, n))), [8, 8, 4], 'also where they are long');
  t.strictSame(sizes([write(300_000, 0), { key: 'k1', value: null }]), [1, 1]);
  t.strictSame(sizes([]), []);
});

test('who is given something without asking hears of it', async (t) => {
  const { all, directory } = await hosts(t, 2);
  const [a, b] = all as [Member, Member];
  const pool = 'weave:10.32.0.0/12';
  await attach(a, 'a1');
  await attach(b, 'b1', '10.32.0.7/12');
  const peer = await idOf(b);
  const notice = { key: keys.wish(peer, await idOf(a), pool), value: JSON.stringify({ pool, given: true }) };
  await directory.client().commit({ writes: [{ key: keys.cell(pool, '10.32.0.9/32'), value: peer }, notice] });
  const has = (text: string) =>
    b.rig.store.load().some(({ table, id }) => table === 'cell' && id === `${pool} ${text}`);
  await until(() => has('10.32.0.9/32') && directory.entries(notice.key).length === 0, 'b knows it');
  b.client.cut();
  directory.loseData();
  await a.rig.here.cluster.rebuild();
  await until(() => inStep(a.rig), 'a is back');
  t.match(directory.entries(keys.cell(pool, '10.32.0.7/32')), [{ value: peer }], 'what it gave is not its own');
  t.match(directory.entries(notice.key), [{ value: notice.value }], 'and it says so');
});

test('a network that has the place of one that went while its host was away', async (t) => {
  const { all, directory } = await hosts(t, 2);
  const [a, b] = all as [Member, Member];
  const subnets = [{ cidr: '10.9.0.0/24', gateway: '10.9.0.1' }];
  await a.rig.here.networks.create({ name: 'blue', subnets });
  await until(() => knows(b, 'blue'), 'b knows it');
  b.client.cut();
  await a.rig.here.networks.remove('blue');
  await a.rig.here.networks.create({ name: 'red', subnets });
  directory.compact();
  b.client.heal();
  await until(() => knows(b, 'red'), 'b knows the other');
  const use = b.rig.here.attach({ container: b.rig.run('web').name }, [], { network: 'red' });
  t.match(await use, { addresses: ['10.9.0.2/24'] }, 'with its pool, and the gateway taken');
});

test('what was a host’s own before its records were lost is so again when it joins', async (t) => {
  const { directory } = await hosts(t, 1);
  const rig = await createRig();
  const { peer } = await rig.here.status();
  await rig[Symbol.asyncDispose]();
  const key = keys.cell('weave:10.32.0.0/12', '10.32.1.0/26');
  await directory.client().commit({ writes: [{ key, value: peer.id }] });
  const again = await rig.restart(directory.client());
  t.teardown(() => again[Symbol.asyncDispose]());
  await until(() => inStep(again), 'it has joined');
  await until(() => again.store.load().some(({ id }) => id === 'weave:10.32.0.0/12 10.32.1.0/26'), 'it knows its cell');
  t.match(await again.here.attach({ container: again.run('c').name }), { addresses: ['10.32.1.0/12', /^fd77/] });
});

test('what was listed before something was made does not undo that', async (t) => {
  const { directory } = await hosts(t, 1);
  const client = directory.client();
  let held: (() => void)[] | undefined = [];
  const rig = await createRig({
    underlay: '192.0.2.2',
    directory: {
      ...client,
      follow(prefix, tell) {
        if (prefix !== keys.definitions) return client.follow(prefix, tell);
        return client.follow(prefix, (news) => (held ? void held.push(() => tell(news)) : tell(news)));
      },
    },
  });
  t.teardown(() => rig[Symbol.asyncDispose]());
  await until(() => inStep(rig), 'it has joined');
  await until(() => held?.length !== 0, 'it is told of the networks');
  await rig.here.networks.create({ name: 'blue' });
  const gone: unknown[] = [];
  const events = rig.here.events();
  const watching = (async () => {
    for await (const event of events) if (event.type === 'network' && event.action === 'removed') gone.push(event);
  })();
  const late = held;
  held = undefined;
  for (const tell of late) tell();
  await rig.here.networks.create({ name: 'red' });
  await new Promise((resolve) => setTimeout(resolve, 100));
  await events.return?.();
  await watching;
  t.strictSame(gone, []);
});
