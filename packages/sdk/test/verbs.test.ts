import { test } from 'tap';
import type { Weave, WeaveEvent } from '../src/index.ts';
import { createRig, type Rig, WAYS } from './rig.ts';

const id = (digit: string) => digit.repeat(64);
const NETWORK = id('a');
const ENDPOINT = id('b');
const SANDBOX = '/var/run/docker/netns/0a6de59daa9b';
const SUBNETS = [{ cidr: '10.3.0.0/24' }, { cidr: 'fd00:3::/64' }];

const adopted = (gateway: 'engine' | 'weave') => ({
  id: NETWORK,
  subnets: [{ cidr: '10.50.0.0/24', gateway: '10.50.0.1', ours: false }],
  options: { 'works.weave.gateway': gateway },
  internal: false,
});
const endpoint = { id: ENDPOINT, network: NETWORK, addresses: ['10.50.0.2/24'] };
/** On a host port that is free: which, is looked up on the machine of the tests. */
const ANY_PORT = { protocol: 'tcp', hostPort: 0, port: 80 } as const;
const web = { container: 'web' };

interface Case {
  name: string;
  prepare?(rig: Rig): unknown;
  verb(weave: Weave, rig: Rig): Promise<unknown>;
}

const blue = (rig: Rig) => rig.here.networks.create({ name: 'blue', subnets: SUBNETS });
const attached = async (rig: Rig) => {
  rig.run('web');
  await rig.here.attach(web, ['10.32.0.5/12', 'fd77:6561:7665::5/64', '10.2.1.1/24']);
};
const created = async (rig: Rig, gateway: 'engine' | 'weave' = 'engine') => {
  await rig.here.networks.adopt(adopted(gateway));
  await rig.here.endpoints.create(endpoint);
};
const joined = async (rig: Rig, gateway: 'engine' | 'weave' = 'engine') => {
  await created(rig, gateway);
  await rig.here.endpoints.attach(ENDPOINT, SANDBOX);
};

/** Every verb that changes something in the kernel. */
const CASES: Case[] = [
  { name: 'networks.create', verb: (w) => w.networks.create({ name: 'blue', subnets: SUBNETS }) },
  {
    name: 'networks.create, Weave its gateway',
    verb: (w) => w.networks.create({ name: 'blue', subnets: SUBNETS, options: { 'works.weave.gateway': 'weave' } }),
  },
  { name: 'networks.remove', prepare: blue, verb: (w) => w.networks.remove('blue') },
  { name: 'networks.adopt', verb: (w) => w.networks.adopt(adopted('weave')) },
  { name: 'networks.forget', prepare: joined, verb: (w) => w.networks.forget(NETWORK) },
  { name: 'attach', prepare: (rig) => rig.run('web'), verb: (w) => w.attach(web) },
  { name: 'attach to another address', prepare: attached, verb: (w) => w.attach(web, ['10.2.1.2/24']) },
  { name: 'detach', prepare: attached, verb: (w) => w.detach(web) },
  { name: 'detach one address', prepare: attached, verb: (w) => w.detach(web, ['10.2.1.1/24']) },
  { name: 'endpoints.attach', prepare: created, verb: (w) => w.endpoints.attach(ENDPOINT, SANDBOX) },
  { name: 'endpoints.detach', prepare: joined, verb: (w) => w.endpoints.detach(ENDPOINT) },
  { name: 'endpoints.remove', prepare: joined, verb: (w) => w.endpoints.remove(ENDPOINT) },
  { name: 'engine.removed', prepare: attached, verb: (w, rig) => w.engine.removed(rig.containers.get('web')!.id) },
];

/** Those that follow a container into its next run. */
const again = async (rig: Rig) => {
  await attached(rig);
  rig.run('web');
};
const MOVES: Case[] = [
  { name: 'engine.started', prepare: again, verb: (w, rig) => w.engine.started(rig.containers.get('web')!) },
  { name: 'attach', prepare: again, verb: (w) => w.attach(web, ['10.2.1.1/24']) },
];

/** Those that only keep books. */
const BOOKKEEPING: Case[] = [
  { name: 'pools.request', verb: (w) => w.pools.request({ family: 4, cidr: '10.9.0.0/24' }) },
  {
    name: 'pools.requestAddress',
    prepare: (rig) => rig.here.pools.request({ family: 4, cidr: '10.9.0.0/24' }),
    verb: (w) => w.pools.requestAddress('weave:10.9.0.0/24'),
  },
  {
    name: 'pools.release',
    prepare: (rig) => rig.here.pools.request({ family: 4, cidr: '10.9.0.0/24' }),
    verb: (w) => w.pools.release('weave:10.9.0.0/24'),
  },
  {
    name: 'endpoints.create',
    prepare: (rig) => rig.here.networks.adopt(adopted('engine')),
    verb: (w) => w.endpoints.create(endpoint),
  },
  {
    name: 'engine.named',
    prepare: (rig) => rig.here.networks.adopt(adopted('engine')),
    verb: (w) => w.engine.named(NETWORK, 'red'),
  },
];

for (const way of WAYS) {
  test(`${way}: what the kernel refuses is undone, whichever operation it refuses`, async (t) => {
    for (const { name, prepare, verb } of CASES) {
      let refused = 0;
      for (let after = 0; ; after++) {
        await using rig = await createRig({ way });
        await prepare?.(rig);
        const before = rig.state();
        rig.datapath.failAt({ after, code: 'ENOMEM' });
        const error = await verb(rig.weave, rig).then(
          () => undefined,
          (thrown) => thrown,
        );
        if (!error) break;
        refused++;
        t.match(error, { code: 'WEAVE_KERNEL', kind: 'unconverged', message: /ENOMEM/ }, `${name}, operation ${after}`);
        t.equal(rig.state(), before, 'as it was: records, kernel, packet filter');
        await verb(rig.weave, rig);
        t.not(rig.state(), before, 'and the same again works');
      }
      t.ok(refused > 0, `${name}: ${refused} operations`);
    }
  });

  test(`${way}: a container that the kernel refuses in its next run is not in its last one either`, async (t) => {
    for (const { name, prepare, verb } of MOVES)
      for (const after of [0, 1, 2, 3, 4]) {
        await using rig = await createRig({ way });
        await prepare?.(rig);
        const before = rig.datapath.listing();
        rig.datapath.failAt({ after, code: 'ENOMEM' });
        await t.rejects(verb(rig.weave, rig), { code: 'WEAVE_KERNEL' }, `${name}, operation ${after}`);
        t.equal(rig.datapath.listing(), before, 'nothing is left in it');
        const addresses = ['10.32.0.5/12', 'fd77:6561:7665::5/64', '10.2.1.1/24'];
        t.match(await rig.weave.endpoints.list(), [{ addresses, sandbox: undefined }], 'its addresses are kept');
        await verb(rig.weave, rig);
        t.match(rig.datapath.listing(), /50000002[\s\S]*ethwe[\s\S]*10\.2\.1\.1/, 'and the same again works');
      }
  });

  test(`${way}: what cannot be stored changes nothing, and the kernel is not asked`, async (t) => {
    for (const { name, prepare, verb } of [...CASES, ...MOVES, ...BOOKKEEPING]) {
      await using rig = await createRig({ way });
      await prepare?.(rig);
      const [before, asked] = [rig.state(), rig.datapath.performed];
      const events = collect(rig.here);
      rig.store.failAt(0);
      await t.rejects(verb(rig.weave, rig), { code: 'WEAVE_STORE_FAILED', kind: 'unavailable' }, name);
      t.equal(rig.state(), before);
      t.equal(rig.datapath.performed, asked);
      t.strictSame(await events.stop(), [], 'nor is anybody told');
      await verb(rig.weave, rig);
      t.not(rig.state(), before, 'and the same again works');
    }
  });

  test(`${way}: every verb may be repeated`, async (t) => {
    for (const { name, prepare, verb } of [...CASES, ...MOVES, ...BOOKKEEPING]) {
      // A name or a subnet that is taken is refused, and an address that is asked for twice is two.
      if (/^networks\.(create|remove)|^pools\.request/.test(name)) continue;
      await using rig = await createRig({ way });
      await prepare?.(rig);
      const first = await verb(rig.weave, rig);
      const after = rig.state();
      const again = await verb(rig.weave, rig);
      if (!name.startsWith('detach')) t.strictSame(again, first, `${name}: the same answer`);
      t.equal(rig.state(), after, `${name}: the same state`);
    }
  });

  test(`${way}: what is refused names its sort, its reason and a way out`, async (t) => {
    await using rig = await createRig({ way });
    const { weave } = rig;
    await attached(rig);
    await blue(rig);
    rig.run('db');
    await joined(rig);
    rig.containers.set('idle', { id: id('e'), name: 'idle', pid: 0 });
    rig.datapath.addNamespace('/run/netns/self', 'host');
    const before = rig.state();
    const refused: [Promise<unknown>, code: string, kind: string][] = [
      [weave.attach({ container: 'db' }, ['10.2.1.1/24']), 'WEAVE_ADDRESS_IN_USE', 'conflict'],
      [weave.attach({ container: 'db' }, ['10.2.1.0/24']), 'WEAVE_INVALID_ADDRESS', 'invalid'],
      [weave.attach({ container: 'db' }, ['net:10.99.0.0/24']), 'WEAVE_INVALID_SUBNET', 'invalid'],
      [weave.attach({ container: 'nosuch' }), 'WEAVE_CONTAINER_NOT_FOUND', 'not-found'],
      [weave.attach({ container: 'idle' }), 'WEAVE_NOT_RUNNING', 'conflict'],
      [weave.attach({ pid: 1 }), 'WEAVE_NETNS_NOT_FOUND', 'not-found'],
      [weave.attach({ netns: '/run/netns/self' }), 'WEAVE_HOST_NETWORK', 'invalid'],
      [weave.attach(web, [], { network: 'nosuch' }), 'WEAVE_NETWORK_NOT_FOUND', 'not-found'],
      [weave.networks.create({ name: 'blue' }), 'WEAVE_NETWORK_EXISTS', 'conflict'],
      [weave.networks.create({ name: 'b/ue' }), 'WEAVE_INVALID_NAME', 'invalid'],
      [weave.networks.create({ name: 'red', subnets: [{ cidr: '10.3.0.0/16' }] }), 'WEAVE_SUBNET_OVERLAP', 'conflict'],
      [weave.networks.create({ name: 'red', options: { colour: 'red' } }), 'WEAVE_UNKNOWN_OPTION', 'invalid'],
      [weave.networks.create({ name: 'red', options: { mtu: '12' } }), 'WEAVE_INVALID_OPTION', 'invalid'],
      [weave.networks.remove('weave'), 'WEAVE_NETWORK_IN_USE', 'conflict'],
      [weave.networks.remove(NETWORK), 'WEAVE_NETWORK_OWNED', 'conflict'],
      [weave.networks.inspect('nosuch'), 'WEAVE_NETWORK_NOT_FOUND', 'not-found'],
      [weave.endpoints.attach(id('f'), SANDBOX), 'WEAVE_ENDPOINT_NOT_FOUND', 'not-found'],
      [weave.endpoints.create({ ...endpoint, addresses: ['10.50.0.3/24'] }), 'WEAVE_ENDPOINT_EXISTS', 'conflict'],
      [weave.pools.requestAddress('weave:10.9.0.0/24'), 'WEAVE_POOL_NOT_FOUND', 'not-found'],
      [weave.pools.request({ family: 6, cidr: '10.9.0.0/24' }), 'WEAVE_INVALID_SUBNET', 'invalid'],
    ];
    for (const [promise, code, kind] of refused) {
      const error = await promise.then(
        () => ({}),
        (thrown) => thrown,
      );
      t.match(error, { name: 'WeaveError', code, kind, message: /\w/, hint: /\w/ });
    }
    t.equal(rig.state(), before);
  });
}

test('a packet filter that refuses undoes the verb too', async (t) => {
  await using rig = await createRig();
  await joined(rig, 'weave');
  const before = rig.state();
  rig.firewall.refuses = true;
  await t.rejects(rig.weave.endpoints.publish(ENDPOINT, [ANY_PORT]), { code: 'WEAVE_FIREWALL_FAILED' });
  await t.rejects(
    rig.weave.networks.create({ name: 'blue', options: { 'works.weave.gateway': 'weave' }, subnets: SUBNETS }),
    { code: 'WEAVE_FIREWALL_FAILED' },
  );
  t.equal(rig.state(), before);
  rig.firewall.refuses = false;
  await rig.weave.endpoints.publish(ENDPOINT, [ANY_PORT]);
  t.match(rig.firewall.rules?.ports, [{ port: 80, address: '10.50.0.2' }]);
});

test('of two that change the packet filter at once, the later one stays', async (t) => {
  await using rig = await createRig();
  await joined(rig, 'weave');
  const other = { ...endpoint, id: id('c'), addresses: ['10.50.0.3/24'] };
  await rig.weave.endpoints.create(other);
  await rig.weave.endpoints.attach(other.id, `${SANDBOX}2`);
  rig.firewall.delays = [50, 0];
  const first = rig.weave.endpoints.publish(ENDPOINT, [ANY_PORT]);
  await new Promise((resolve) => setTimeout(resolve, 10));
  await Promise.all([first, rig.weave.endpoints.publish(other.id, [ANY_PORT])]);
  t.strictSame(
    rig.firewall.rules?.ports.map((port) => port.address),
    ['10.50.0.2', '10.50.0.3'],
  );
});

test('at once', async (t) => {
  await using rig = await createRig();
  rig.run('web');
  const same = await Promise.all(Array.from({ length: 20 }, () => rig.weave.attach(web)));
  t.equal(new Set(same.map((a) => JSON.stringify(a))).size, 1, 'one container, asked for by many: one attachment');

  const names = Array.from({ length: 50 }, (_, i) => `c${i}`);
  for (const name of names) rig.run(name);
  const all = await Promise.all(names.map((container) => rig.weave.attach({ container })));
  t.equal(new Set(all.flatMap((a) => a.addresses)).size, 100, 'many containers: every address once');

  const made = await Promise.all(names.map((name) => rig.weave.networks.create({ name })));
  t.equal(new Set(made.flatMap((n) => n.subnets.map((s) => s.cidr))).size, 100, 'every subnet once');

  const back = Promise.all(names.map((container) => rig.weave.detach({ container })));
  const forth = Promise.all(names.map((container) => rig.weave.attach({ container }, ['net:10.32.5.0/24'])));
  await Promise.all([back, forth]);
  t.strictSame((await rig.weave.endpoints.list()).length, 51, 'detached and attached again, in the order of asking');
  const state = rig.state();
  await using after = await rig.restart();
  t.equal(after.state(), state, 'and the kernel is what the records say');
});

test('a network that is refused takes along who came meanwhile', async (t) => {
  let refuse: (() => void) | undefined;
  await using rig = await createRig({
    wrapDatapath: (datapath) => ({
      ...datapath,
      apply: async (batches) => {
        const wanted = batches[0]?.some((op) => op.op === 'addBridge' && op.alias?.startsWith('weave blue'));
        if (!wanted) return datapath.apply(batches);
        await new Promise<void>((resolve) => {
          refuse = resolve;
        });
        return [{ done: 0, failed: { index: 0, op: 'addBridge', errno: 12, code: 'ENOMEM', message: 'no' } }];
      },
    }),
  });
  rig.run('web');
  const before = rig.state();
  const creating = rig.weave.networks.create({ name: 'blue', subnets: SUBNETS });
  while (!refuse) await new Promise((resolve) => setImmediate(resolve));
  await t.rejects(rig.weave.attach(web, [], { network: 'blue' }), { code: 'WEAVE_KERNEL' }, 'there is no bridge yet');
  refuse();
  await t.rejects(creating, { code: 'WEAVE_KERNEL' });
  t.equal(rig.state(), before);
});

/** What `weave` tells from now on. */
function collect(weave: Weave) {
  const events = weave.events();
  const told: WeaveEvent[] = [];
  const ended = (async () => {
    for await (const event of events) told.push(event);
  })();
  return {
    told,
    async stop() {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await events.return?.();
      await ended;
      return told;
    },
  };
}
