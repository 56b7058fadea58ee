import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineSnapshot, Log, Weave } from '@weave/sdk';
import { type Test, test } from 'tap';
import { followEngine } from '../src/index.ts';
import { holdings, snapshot } from '../src/snapshot.ts';
import { FakeEngine } from './fake-engine.ts';
import { createRig, ID, makeNetwork, type Rig } from './rig.ts';

const container = (n: number) => n.toString(16).padStart(64, 'c');

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await holds()) return;
    await delay(10);
  }
  throw new Error(`it did not come to pass in 5 s: ${what}`);
}

/** A Weave that only listens: what was told, one line a call. */
function listener() {
  const told: string[] = [];
  const reports: EngineSnapshot[] = [];
  let fail: Error | undefined;
  const tell = async (line: string) => {
    told.push(line);
    if (fail) throw fail;
  };
  const weave = {
    status: async () => ({ peer: { id: 'here' } }),
    names: { list: async () => [] },
    events: () => {
      const { promise, resolve } = Promise.withResolvers<IteratorResult<never>>();
      const over = { done: true, value: undefined } as const;
      return {
        next: () => promise,
        return: async () => resolve(over),
        [Symbol.asyncIterator]() {
          return this;
        },
      };
    },
    networks: { list: async () => [] },
    endpoints: { list: async () => [] },
    pools: { grants: async () => [] },
    engine: {
      report: async (view: EngineSnapshot) => {
        reports.push(view);
        await tell(`report ${view.networks.map((n) => n.name).join(' ')}`.trim());
      },
      started: (c: { name: string; pid: number; endpoints?: string[] }) =>
        tell(`started ${c.name} pid ${c.pid} with ${c.endpoints?.map((id) => id.slice(0, 4)).join(' ')}`),
      named: (network: string, name: string) => tell(`named ${network.slice(0, 4)} ${name}`),
      ended: (id: string) => tell(`ended ${id.slice(0, 4)}`),
      removed: (id: string) => tell(`removed ${id.slice(0, 4)}`),
    },
  } as unknown as Weave;
  const failing = (error: Error | undefined) => {
    fail = error;
  };
  return { weave, told, reports, failing };
}

/** An engine, and somebody that follows it until the end of the test. */
async function following(t: Test, rig: Rig, weave: Weave, prepare: (engine: FakeEngine) => void = () => undefined) {
  const engine = await new FakeEngine(join(rig.dir, `docker-${t.name.replace(/\W+/g, '-')}.sock`)).start();
  prepare(engine);
  const logged: string[] = [];
  const log: Log = (level, message, fields) => logged.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  const stop = new AbortController();
  const done = followEngine(weave, engine.docker, log, stop.signal);
  t.teardown(async () => {
    stop.abort();
    await done;
    await engine.stop();
  });
  return { engine, logged, stop, done };
}

const connect = (network: string, id: string, type = 'weave') => ({
  Type: 'network',
  Action: 'connect',
  Actor: { ID: network, Attributes: { container: id, name: 'net', type } },
  scope: 'local',
});
const happened = (Action: string, id: string, name = '') => ({
  Type: 'container',
  Action,
  Actor: { ID: id, Attributes: { image: 'bb', name } },
  scope: 'local',
});

test('what a real engine told while it worked', async (t) => {
  await using rig = await createRig();
  const { weave, told } = listener();
  const { engine } = await following(t, rig, weave, ({ containers }) => {
    const known = [
      ['05bc5d884f939160b3f200d68828279295a9e8ebf4a79c715fced3266b893175', 'six', { n6: '1111' }],
      ['7b77344e76abcf22d4b07bd2e00267d9a33f62239ab119faa8de8c8c63b039c9', 'six2', { n6: '8973' }],
      [
        '15cee12a8887a20abdf6a914199e7fab46a2155f2cfcaad22012d6b309d8084d',
        'proj_web_new',
        { n6: 'a98e', proj_back: '5ce2', proj_int: '117c' },
      ],
    ] as const;
    for (const [Id, Name, endpoints] of known) containers.set(Id, { Id, Name, Pid: 4711, endpoints });
  });
  await until(() => told.length > 0 && engine.streams === 1, 'connected');
  const events = readFileSync(join(import.meta.dirname, 'fixtures/docker-events.jsonl'), 'utf8');
  engine.write(events.replaceAll('"type":"rec"', '"type":"weave"'));
  engine.emit(happened('destroy', container(99)));
  await until(() => told.at(-1) === 'removed cccc', 'the last event');
  const six = 'started six pid 4711 with 1111';
  const six2 = 'started six2 pid 4711 with 8973';
  const web = 'started proj_web_new pid 4711 with a98e 5ce2 117c';
  t.same(told, [
    'report',
    'named c00e n6',
    // As it starts: that it was connected just before needs no look of its own.
    six,
    six2,
    'named b41e proj_back',
    'named c62b proj_int',
    web,
    web, // connected again
    web, // renamed
    'ended 15ce',
    web, // restarted
    'ended 15ce',
    'removed 15ce',
    'ended 7b77',
    'ended 05bc',
    'removed 7b77',
    'removed 05bc',
    // This one, run with --rm, is gone before anyone can look.
    'ended 9862',
    'removed 9862',
    'removed cccc',
  ]);
});

test('networks and containers of other drivers', async (t) => {
  await using rig = await createRig();
  const { weave, told } = listener();
  const { engine } = await following(t, rig, weave, ({ networks, containers }) => {
    for (const [n, driver] of ['weave', 'bridge', 'weavemesh', 'overlay'].entries())
      networks.set(ID.network(n), { Id: ID.network(n), Name: driver, Driver: driver });
    containers.set(container(1), { Id: container(1), Name: 'one', endpoints: { bridge: '' } });
  });
  await until(() => told.length > 0, 'the report');
  t.same(told, ['report weave weavemesh'], 'are not asked for');
  engine.emit(connect(ID.network(1), container(1), 'bridge'));
  engine.emit({
    ...connect(ID.network(1), ''),
    Action: 'create',
    Actor: { ID: ID.network(1), Attributes: { name: 'b', type: 'bridge' } },
  });
  engine.emit({ Type: 'network', Action: 'prune', Actor: { ID: '', Attributes: { reclaimed: '0' } } });
  engine.emit({ Type: 'volume', Action: 'create', Actor: { ID: 'v', Attributes: {} } });
  engine.emit(happened('die', container(1)), happened('exec_create: sh', container(1)), happened('kill', container(1)));
  engine.emit(happened('start', container(1)));
  await until(() => told.length > 2, 'the start');
  t.same(told.slice(1), ['ended cccc', 'started one pid 0 with '], 'but every container may be one that was attached');
});

test('events in pieces, and many at once', async (t) => {
  await using rig = await createRig();
  const { weave, told } = listener();
  const { engine } = await following(t, rig, weave);
  await until(() => told.length > 0, 'connected');
  const text = Array.from(
    { length: 40 },
    (_, n) => `${JSON.stringify(happened('destroy', ID.network(n), 'naïve €'))}\n`,
  ).join('');
  const bytes = Buffer.from(text);
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7) % 301) {
    for (const piece of [bytes.subarray(at, at + size)]) engine.write(piece as unknown as string);
    if (size % 3 === 0) await delay(1);
  }
  await until(() => told.length === 41, 'all of them');
  t.same(told.slice(1), new Array(40).fill('removed aaaa'), 'each once, in order');
});

test('an engine that goes and comes back', async (t) => {
  await using rig = await createRig();
  const { weave, told } = listener();
  const { engine, logged } = await following(t, rig, weave);
  const add = (n: number) => engine.networks.set(ID.network(n), { Id: ID.network(n), Name: `n${n}` });
  const again = async (what: string, count: number) => {
    await until(() => told.length === count && engine.streams === 1, what);
    engine.emit(happened('destroy', container(count)));
    await until(() => told.length === count + 1, `events after ${what}`);
  };
  await again('the start', 1);
  add(1);
  engine.endStreams();
  await again('the end of the stream', 3);
  add(2);
  engine.cutStreams();
  await again('a connection that breaks', 5);
  add(3);
  await engine.stop();
  await delay(1200);
  await engine.start();
  await again('an engine that was away', 7);
  engine.emit(happened('destroy', container(0)));
  engine.write('{"Type":"network"\n');
  await again('nonsense', 10);
  t.same(
    told.filter((line) => !line.startsWith('removed')),
    ['report', 'report n1', 'report n1 n2', 'report n1 n2 n3', 'report n1 n2 n3'],
    'everything is told anew each time',
  );
  t.equal(engine.streams, 1, 'and no stream is left behind');
  t.ok(logged.some((line) => line.startsWith('debug the engine does not answer')));
});

test('an event that cannot be followed is logged, and the next one is', async (t) => {
  await using rig = await createRig();
  const { weave, told, failing } = listener();
  const { engine, logged } = await following(t, rig, weave);
  await until(() => told.length === 1, 'connected');
  failing(new Error('not now'));
  engine.emit(happened('destroy', container(1)));
  await until(() => told.length === 2, 'the first');
  failing(undefined);
  engine.emit(happened('destroy', container(2)));
  await until(() => told.length === 3, 'the second');
  t.match(logged.at(-1), /warn an engine event could not be followed .*not now/);
  t.equal(engine.listened, 1, 'over the same stream');
});

test('it ends when it shall, whatever it waits for', async (t) => {
  await using rig = await createRig();
  const hangs = {
    listening: 'nowhere',
    connecting: '/events',
    listing: '/networks',
    reporting: '/networks/',
    inspecting: '/containers',
  };
  for (const [when, where] of Object.entries(hangs)) {
    const { weave, told } = listener();
    const { engine, stop, done, logged } = await following(t, rig, weave, (engine) => {
      engine.networks.set(ID.network(1), { Id: ID.network(1), Name: 'one' });
      engine.beforeAnswer = (path) => (path.startsWith(where) ? new Promise(() => undefined) : Promise.resolve());
    });
    if (when === 'listening' || when === 'inspecting') await until(() => told.length > 0, 'the report');
    if (when === 'inspecting') engine.emit(happened('start', container(1)), happened('destroy', container(2)));
    await until(() => when === 'listening' || engine.asked.some((path) => path.startsWith(where)), when);
    const before = [told.length, logged.length];
    stop.abort();
    t.equal(await Promise.race([done.then(() => 'ended'), delay(2000, 'waits')]), 'ended', when);
    t.same([told.length, logged.length], before, 'nothing is told any more, nor complained of');
    await until(() => engine.streams === 0, 'the stream is closed');
    await engine.stop();
  }
});

test('an API that hangs holds nobody up', async (t) => {
  await using rig = await createRig();
  const network = ID.network(1);
  let answer = () => {};
  const answers = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const { engine } = await following(t, rig, rig.weave, (engine) => {
    // As while the engine starts a container: it waits for us.
    engine.beforeAnswer = (path) => (path === '/events' ? Promise.resolve() : answers);
    engine.containers.set(container(1), { Id: container(1), Name: 'slow', Pid: 1, endpoints: { n: ID.endpoint(1) } });
  });
  await until(() => engine.asked.some((path) => path.startsWith('/networks')), 'it is asked');
  const begun = performance.now();
  const pool = await makeNetwork(rig, network, '10.50.0.0/24');
  const { body } = await rig.call('IpamDriver.RequestAddress', { PoolID: pool, Address: '' });
  const ids = { NetworkID: network, EndpointID: ID.endpoint(1) };
  await rig.call('NetworkDriver.CreateEndpoint', { ...ids, Interface: { Address: body.Address } });
  const joined = await rig.call('NetworkDriver.Join', { ...ids, SandboxKey: '/s/1' });
  t.equal(joined.status, 200);
  t.ok(performance.now() - begun < 1000, 'the driver answers at once');
  engine.networks.set(network, { Id: network, Name: 'blue', Containers: { [container(1)]: seen(1, '10.50.0.2/24') } });
  engine.emit(connect(network, container(1)));
  answer();
  await until(async () => (await rig.weave.endpoints.list())[0]?.container?.name === 'slow', 'the name is learned');
  t.match(await rig.weave.networks.inspect('blue'), { id: network, endpoints: [{ id: ID.endpoint(1) }] });
});

const seen = (n: number, IPv4Address: string) => ({
  Name: `c${n}`,
  EndpointID: ID.endpoint(n),
  MacAddress: '02:42:ac:11:00:02',
  IPv4Address,
  IPv6Address: '',
});

/** A network as the driver is told of it. */
const made = (rig: Rig, n: number) =>
  rig.weave.networks.adopt({
    id: ID.network(n),
    subnets: [{ cidr: `172.${n}.0.0/16`, gateway: `172.${n}.0.1`, ours: false }],
    options: {},
    internal: false,
  });
const endpoint = (rig: Rig, n: number) =>
  rig.weave.endpoints.create({ id: ID.endpoint(n), network: ID.network(n), addresses: [`172.${n}.0.2/16`] });

const known = (n: number) => ({
  Id: ID.network(n),
  Name: `n${n}`,
  IPAM: { Driver: 'default', Config: [{ Subnet: `172.${n}.0.0/16`, Gateway: `172.${n}.0.1` }] },
  Containers: { [container(n)]: seen(n, `172.${n}.0.2/16`) },
});

test('what the engine has is told from what it lost, and both from what came meanwhile', async (t) => {
  await using rig = await createRig();
  const engine = await new FakeEngine(join(rig.dir, 'docker.sock')).start();
  t.teardown(() => engine.stop());
  const defaults = (await rig.weave.networks.list()).map(({ id }) => id);
  for (const n of [1, 2, 3]) {
    await made(rig, n);
    await endpoint(rig, n);
  }
  // 1 it has; of 2 only the network; 3 it has not any more.
  engine.networks.set(ID.network(1), known(1));
  engine.networks.set(ID.network(2), { ...known(2), Containers: {} });
  engine.beforeAnswer = async (path) => {
    if (path !== '/networks') return;
    // While the engine is asked, it makes another one.
    await made(rig, 4);
    await endpoint(rig, 4);
  };
  const { ids } = await holdings(rig.weave);
  const before = [1, 2, 3].flatMap((n) => [ID.network(n), ID.endpoint(n)]);
  t.same([...ids].sort(), [...defaults, ...before].sort(), 'what is there before it is asked');
  const view = await snapshot(rig.weave, engine.docker, ids, new AbortController().signal);
  const inspected = engine.asked.filter((path) => path.startsWith('/containers'));
  t.same(inspected, [], 'no container is asked for that is known: the engine might be starting it, and wait for us');
  await rig.weave.engine.report(view);
  const networks = (await rig.weave.networks.list()).map(({ id, name }) => (id === ID.network(4) ? 'n0' : name));
  t.same(networks.sort(), ['n0', 'n1', 'n2', 'weave'], 'the lost one is gone, the new one stays');
  const endpoints = (await rig.weave.endpoints.list()).map((e) => [e.id, e.container?.name]);
  t.same(endpoints, [
    [ID.endpoint(1), 'c1'],
    [ID.endpoint(4), undefined],
  ]);
});

test('networks and containers that go while they are asked for', async (t) => {
  await using rig = await createRig();
  const engine = await new FakeEngine(join(rig.dir, 'docker.sock')).start();
  t.teardown(() => engine.stop());
  for (const n of [1, 2, 3]) engine.networks.set(ID.network(n), known(n));
  engine.containers.set(container(1), { Id: container(1), Name: 'c1', Pid: 7, endpoints: { n1: ID.endpoint(1) } });
  engine.beforeAnswer = async (path) => {
    if (path === `/networks/${ID.network(2)}`) engine.networks.delete(ID.network(2));
  };
  const view = await snapshot(rig.weave, engine.docker, [], new AbortController().signal);
  t.same(
    view.networks.map((n) => [n.name, n.endpoints[0]?.sandbox]),
    [
      ['n1', `/var/run/docker/netns/${container(1).slice(0, 12)}`],
      ['n3', undefined],
    ],
  );
  await rig.weave.engine.report(view);
  t.match(await rig.weave.endpoints.list(), [
    { id: ID.endpoint(1), addresses: ['172.1.0.2/16'], sandbox: { kind: 'engine' }, mac: '02:42:ac:11:00:02' },
    { id: ID.endpoint(3) },
  ]);
});

test('what was attached follows its container', async (t) => {
  await using rig = await createRig();
  const netns = (pid: number) => `/proc/${pid}/ns/net`;
  for (const n of [1, 2, 3]) {
    rig.datapath.addNamespace(netns(900 + n));
    rig.containers.set(`c${n}`, { id: container(n), name: `c${n}`, pid: 900 + n });
    await rig.weave.attach({ container: `c${n}` });
  }
  // While nobody followed, 1 got a new run, 2 was stopped and 3 removed.
  rig.datapath.addNamespace(netns(911));
  const { engine } = await following(t, rig, rig.weave, ({ containers }) => {
    containers.set(container(1), { Id: container(1), Name: 'renamed', Pid: 911 });
    containers.set(container(2), { Id: container(2), Name: 'c2' });
  });
  const where = async () =>
    (await rig.weave.endpoints.list()).map(({ container: c, sandbox, addresses }) => [
      c?.name,
      sandbox?.kind === 'netns' ? sandbox.path : undefined,
      addresses[0],
    ]);
  await until(async () => (await where()).length === 2, 'the removed one is gone');
  t.same(await where(), [
    ['renamed', netns(911), '10.32.0.1/12'],
    ['c2', netns(902), '10.32.0.2/12'],
  ]);
  t.match(rig.datapath.listing(), /^\/proc\/911\/ns\/net\n.* ethwe /m, 'the interface is in the new run');
  rig.datapath.addNamespace(netns(912));
  engine.containers.set(container(2), { Id: container(2), Name: 'c2', Pid: 912 });
  engine.emit(happened('start', container(2)), happened('destroy', container(1)));
  await until(async () => (await where()).length === 1, 'removed');
  t.same(await where(), [['c2', netns(912), '10.32.0.2/12']]);
});

test('all that an inspected network says', async (t) => {
  await using rig = await createRig();
  const engine = await new FakeEngine(join(rig.dir, 'docker.sock')).start();
  t.teardown(() => engine.stop());
  engine.networks.set(ID.network(1), {
    Id: ID.network(1),
    Name: 'full',
    Internal: true,
    Options: { mtu: '1400', 'works.weave.multicast': 'false' },
    IPAM: {
      Driver: 'weavemesh',
      Config: [
        {
          Subnet: '10.50.0.0/16',
          IPRange: '10.50.5.0/24',
          Gateway: '10.50.5.254',
          AuxiliaryAddresses: { printer: '10.50.9.9', router: '10.50.5.1' },
        },
        { Subnet: 'fd00:50::/64', Gateway: 'fd00:50::99/64' },
      ],
    },
    Containers: {
      [container(1)]: { ...seen(1, '10.50.5.0/16'), IPv6Address: 'fd00:50::1/64' },
      // An engine that starts a container lists it before it has all of it, and before it has joined.
      [container(2)]: { ...seen(2, '10.50.5.2/16'), MacAddress: '' },
      [`ep-${ID.endpoint(3)}`]: seen(3, '10.50.5.3/16'),
    },
  });
  engine.networks.set(ID.network(2), { Id: ID.network(2), Name: 'bare', IPAM: { Driver: 'null', Config: null } });
  const view = await snapshot(rig.weave, engine.docker, [], new AbortController().signal);
  t.match(view.networks, [
    {
      id: ID.network(1),
      internal: true,
      options: { mtu: '1400', 'works.weave.multicast': 'false' },
      subnets: [
        { cidr: '10.50.0.0/16', gateway: '10.50.5.254', ours: true },
        { cidr: 'fd00:50::/64', gateway: 'fd00:50::99/64', ours: true },
      ],
      range: { '10.50.0.0/16': '10.50.5.0/24' },
      reserved: ['10.50.5.254', '10.50.9.9', '10.50.5.1', 'fd00:50::99'],
      endpoints: [
        { addresses: ['10.50.5.0/16', 'fd00:50::1/64'] },
        { addresses: ['10.50.5.2/16'] },
        { addresses: ['10.50.5.3/16'], container: undefined },
      ],
    },
    { id: ID.network(2), subnets: [], endpoints: [] },
  ]);
  await rig.weave.engine.report(view);
  t.match(await rig.weave.networks.inspect('full'), {
    mtu: 1400,
    multicast: false,
    internal: true,
    endpoints: [{ container: { name: 'c1' } }, { mac: '5a:77:0a:32:05:02' }, { container: undefined }],
  });
  const { body } = await rig.call('IpamDriver.RequestAddress', { PoolID: 'weave:10.50.0.0/16', Address: '' });
  t.equal(body.Address, '10.50.5.4/16', 'what is held is not handed out');
});
