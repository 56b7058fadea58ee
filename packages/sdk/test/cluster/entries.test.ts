import { type Endpoint, hashId, keys, type Name } from '@weave/core';
import { memoryDirectory } from '@weave/core/testing';
import { type Test, test } from 'tap';
import { createRig, type Rig } from '../rig.ts';
import { until } from './members.ts';

/* What is no entry of its kind: written by hand, by another version, or by a host that is ill. */

const domain = 'weave.local';
const NETWORK = hashId('network', 'weave');
const FAR = 'f'.repeat(32);
const hex = (n: number, length: number) => n.toString(16).padStart(length, 'a');

interface Kind {
  table: string;
  /** A good one for each number. */
  record(n: number): object;
  key(record: object): string;
  /** What is changed of one, and of its key, to be none. */
  bad: Record<string, object>;
  /** What is changed, and its key is not. */
  elsewhere: Record<string, object>;
}

const peer: Kind = {
  table: 'peer',
  record: (n) => ({ id: hex(n, 32), name: `far${n}`, underlay: '192.0.2.9', mtu: 1430 }),
  key: (record) => keys.peer((record as { id: string }).id),
  bad: {
    'no underlay': { underlay: '10.2.1.300' },
    'an MTU that no link has': { mtu: 70_000 },
    'no id': { id: 'far' },
  },
  elsewhere: { 'another host': { id: hex(99, 32) } },
};

const block = (n: number) => `10.${100 + n}.0.0/24`;
const sized = (cidr: string, more = {}) => ({ id: `weave:${cidr}`, cidr, ...more });

const pool: Kind = {
  table: 'pool',
  record: (n) => sized(block(n), { created: 1 }),
  key: (record) => keys.pool((record as { id: string }).id),
  bad: {
    'no address': sized('10.2.1.300/24'),
    'no prefix length': sized('10.2.1.0/33'),
    'host bits': sized('10.2.1.1/24'),
    'another spelling': sized('fd00:0::/64'),
    'another subnet than it was made with': { cidr: '10.99.0.0/24' },
    'grown from no subnet': sized('10.2.1.0/24', { id: 'weave:10.2.1.300/28', grownFrom: ['10.2.1.300/28'] }),
    'grown from another': sized('10.2.1.0/24', { id: 'weave:10.99.0.0/28', grownFrom: ['10.99.0.0/28'] }),
    'grown by another': sized('10.2.0.0/16', { id: 'weave:10.2.1.0/28', grownFrom: ['10.2.1.0/28', '10.3.0.0/24'] }),
    'no range': { range: '10.99.0.0/999' },
    'a range elsewhere': { range: '10.99.0.0/28' },
    'an impossible time': { created: -1 },
    'no id': { id: 'far' },
  },
  elsewhere: { 'another pool': sized(block(99)) },
};

const subnets = (...list: object[]) => ({ subnets: list });

const network: Kind = {
  table: 'network',
  record: (n) => ({
    ...{ id: hex(n, 64), name: `far${n}`, vni: 100 + n, mtu: 1430, multicast: true, gateway: 'none', internal: false },
    ...{
      owner: 'weave',
      origin: FAR,
      ...subnets({ cidr: block(n), ...(n % 2 ? { gateway: `10.${100 + n}.0.1` } : {}) }),
    },
  }),
  key: (record) => keys.network((record as { id: string }).id),
  bad: {
    'no address': subnets({ cidr: '10.2.1.300/24' }),
    'host bits': subnets({ cidr: '10.2.1.1/24' }),
    'another spelling': subnets({ cidr: 'fd00:0::/64' }),
    'no gateway': subnets({ cidr: '10.2.1.0/24', gateway: '10.2.1.256' }),
    'a gateway elsewhere': subnets({ cidr: '10.2.1.0/24', gateway: '10.2.2.1' }),
    'no pool': subnets({ cidr: '10.2.1.0/24', pool: 'weave:10.2.1.300/24' }),
    'a pool elsewhere': subnets({ cidr: '10.2.1.0/24', pool: 'weave:fd00::/64' }),
    'a VNI of more than 24 bits': { vni: 2 ** 24 },
    'no MTU': { mtu: 70_000 },
  },
  elsewhere: { 'another network': { id: hex(99, 64) } },
};

const endpoint: Kind = {
  table: 'endpoint',
  record: (n) => ({
    ...{ id: hex(n, 64), network: NETWORK, peer: FAR, owner: 'weave', names: [`far${n}.${domain}`] },
    ...{ addresses: [`10.33.0.${n + 1}/12`], mac: `5a:77:0a:21:00:${hex(n, 2)}` },
  }),
  key: (record) => keys.endpoint(record as Endpoint),
  bad: {
    'no address': { addresses: ['10.2.1.300/24'] },
    'no prefix length': { addresses: ['10.33.0.9'] },
    'a prefix length of none': { addresses: ['10.33.0.9/33'] },
    'another spelling': { addresses: ['fd00:0::9/64'] },
    'half a MAC': { mac: '5a:77:0a' },
    'the MAC of a group': { mac: '01:00:5e:00:00:01' },
    'the MAC for all': { mac: '00:00:00:00:00:00' },
    'the place of one that is here': { sandbox: { kind: 'host', interface: 'weave' } },
    'ports of this host': { ports: 'all' },
  },
  elsewhere: {
    'another endpoint': { id: hex(99, 64) },
    'another network': { network: hex(99, 64) },
    'another host': { peer: hex(99, 32) },
  },
};

const name: Kind = {
  table: 'name',
  record: (n) => ({ peer: FAR, name: `far${n}.${domain}`, address: `192.0.2.${n + 1}` }),
  key: (record) => keys.name(record as Name),
  bad: {
    'no address': { address: '192.0.2.300' },
    'another spelling': { address: 'fd00:0::9' },
    'a prefix length': { address: '192.0.2.9/24' },
    'no name': { name: 'a b.weave.local' },
  },
  elsewhere: {
    'another address': { address: '192.0.2.99' },
    'another name': { name: `other.${domain}` },
    'another host': { peer: hex(99, 32) },
  },
};

const written = ({ key, record }: Kind, n: number) => ({ key: key(record(n)), value: JSON.stringify(record(n)) });

function malformed({ key, record, bad, elsewhere }: Kind) {
  const all = Object.values(bad).map((changed, i) => ({ ...record(i + 10), ...changed }));
  const strays = Object.values(elsewhere).map((changed, i) => ({
    key: record(i + 30),
    value: { ...record(i + 30), ...changed },
  }));
  return [
    ...all.map((each) => ({ key: key(each), value: JSON.stringify(each) })),
    ...strays.map((each) => ({ key: key(each.key), value: JSON.stringify(each.value) })),
    ...['', '{', 'null', '[]', '{}', '7'].map((value, i) => ({ key: key(record(i + 40)), value })),
  ];
}

/** A host with a container, so that it hears of others on its network. */
async function host(t: Test) {
  const directory = memoryDirectory();
  const client = directory.client();
  const rig = await createRig({ directory: client, underlay: '192.0.2.1', domain });
  t.teardown(() => rig[Symbol.asyncDispose]());
  await until(() => inStep(rig), 'it has joined');
  rig.run('c1');
  await rig.here.attach({ container: 'c1' });
  return { directory, rig, client, other: directory.client() };
}

async function inStep({ here }: Rig): Promise<boolean> {
  const { cluster } = await here.status();
  return cluster?.id !== undefined && cluster.reachable && !cluster.problem;
}

async function mustGoOn(t: Test, rig: Rig): Promise<void> {
  rig.run('c2');
  t.match(await rig.here.attach({ container: 'c2' }), { addresses: [/^10\.32\.0\.2/, /^fd77/] }, 'it goes on');
  await rig.here.detach({ container: 'c2' });
}

for (const kind of [peer, pool, network, endpoint, name])
  test(`what is no ${kind.table} is none here, now and after a restart`, async (t) => {
    const { rig, directory, other } = await host(t);
    const records = ({ store }: Rig) => store.load().filter(({ table }) => table === kind.table);
    const own = new Set(records(rig).map(({ id }) => id));
    const learned = (from: Rig) => records(from).filter(({ id }) => !own.has(id));
    const knows = (from: Rig, count: number) => until(() => learned(from).length >= count, `it knows ${count}`);

    // Each by itself, and with others.
    for (const write of malformed(kind)) await other.commit({ writes: [write] });
    await other.commit({ writes: [...malformed(kind), written(kind, 0)] });
    await knows(rig, 1);
    t.strictSame(
      learned(rig).map(({ record }) => record),
      [kind.record(0)],
    );
    await mustGoOn(t, rig);
    // What is known stays as it is while it cannot be read.
    const [spoilt] = Object.values(kind.bad);
    const { key, value } = written(kind, 0);
    await other.commit({ writes: [{ key, value: JSON.stringify({ ...kind.record(0), ...spoilt }) }] });
    await other.commit({ writes: [written(kind, 1)] });
    await knows(rig, 2);
    await other.commit({ writes: [{ key, value }] });
    await rig.here.close();

    const again = await rig.restart(directory.client());
    t.teardown(() => again[Symbol.asyncDispose]());
    await until(() => inStep(again), 'it is back');
    await other.commit({ writes: [written(kind, 2)] });
    await knows(again, 3);
    t.strictSame(
      learned(again).map(({ record }) => record),
      [0, 1, 2].map(kind.record),
    );
    await mustGoOn(t, again);
  });

test('what is no wish is not answered', async (t) => {
  const { rig, directory, other } = await host(t);
  const self = (await rig.here.status()).peer.id;
  const id = 'weave:10.32.0.0/12';
  const asked = (n: number | string, wanted: object, of = id) => ({
    key: keys.wish(self, typeof n === 'string' ? n : hex(n, 32), of),
    value: JSON.stringify({ pool: id, ...wanted }),
  });
  const bad = [
    asked(1, { address: '10.32.0.300' }),
    asked(2, { within: '10.32.0.0/99' }),
    asked(3, { within: '10.32.0.1/26' }),
    asked(4, { address: '10.32.0.1' }, 'weave:fd77:6561:7665::/64'),
    asked('nobody', { address: '10.32.0.1' }),
    { ...asked(5, {}), value: '{' },
  ];
  await other.commit({ writes: [...bad, asked(6, { address: '10.32.0.1' })] });
  const answers = () => directory.entries(keys.wishes(self)).filter(({ value }) => value.includes('denied'));
  await until(() => answers().length > 0, 'the good one is answered');
  t.match(answers(), [{ value: /container c1/ }]);
  t.strictSame(
    bad.filter(({ key, value }) => directory.entries(key)[0]?.value !== value),
    [],
  );
});

test('what is no cluster is none, and its host waits until it is one again', async (t) => {
  const { rig, directory, client, other } = await host(t);
  const { value } = directory.entries(keys.cluster)[0]!;
  client.cut();
  await other.commit({ writes: [{ key: keys.cluster, value: value.replace('"id":"', '"id":"!') }] });
  client.heal();
  await until(async () => !!(await rig.here.status()).cluster?.problem, 'it says what is wrong');
  t.match((await rig.here.status()).cluster?.problem, /directory is empty/);
  await other.commit({ writes: [{ key: keys.cluster, value }] });
  await until(() => inStep(rig), 'it is back', 6000);
  await mustGoOn(t, rig);
});

test('a network is in use by whom cannot be read, too', async (t) => {
  const { rig, other } = await host(t);
  const { id } = await rig.here.networks.create({ name: 'blue' });
  const key = keys.endpoint({ network: id, peer: FAR, id: hex(1, 32) });
  await other.commit({ writes: [{ key, value: '{' }] });
  const removed = rig.here.networks.remove('blue');
  await t.rejects(removed, { code: 'WEAVE_NETWORK_IN_USE', message: new RegExp(`on host ${FAR}`) });
  await other.commit({ writes: [{ key, value: null }] });
  await rig.here.networks.remove('blue');
});
