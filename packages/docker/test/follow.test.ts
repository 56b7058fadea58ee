import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineSnapshot, Weave } from '@weave/sdk';
import { test } from 'tap';
import { container, following, happened, seen, until } from './following.ts';
import { createRig, ID, makeNetwork } from './rig.ts';

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

const connect = (network: string, id: string, type = 'weave') => ({
  Type: 'network',
  Action: 'connect',
  Actor: { ID: network, Attributes: { container: id, name: 'net', type } },
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
