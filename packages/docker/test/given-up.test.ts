import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { startGivenUp } from '../src/given-up.ts';
import { inspector } from '../src/snapshot.ts';
import { type FakeContainer, FakeEngine } from './fake-engine.ts';

const id = (n: number) => n.toString(16).padStart(64, 'c');
/** As engine 20.10 says it. */
const ABSENT = [
  'plugin "weave" not found',
  'failed to add endpoint: plugin "weavemesh" not found',
  'Post "http://%2Frun%2Fdocker%2Fplugins%2Fweave.sock/IpamDriver.RequestAddress": dial unix /run/docker/plugins/weave.sock: connect: connection refused',
  'Post "http://%2Frun%2Fdocker%2Fplugins%2Fweavemesh.sock/NetworkDriver.Join": EOF',
  'failed to add endpoint: legacy plugin: Post "http://%2Frun%2Fdocker%2Fplugins%2Fweavemesh.sock/Plugin.Activate": dial unix /run/docker/plugins/weavemesh.sock: connect: no such file or directory',
  'failed to create endpoint a on network b: NetworkDriver.CreateEndpoint: there is no network a03354420c67. List the networks with: weave network ls',
  'IpamDriver.RequestAddress: there is no address pool weave:10.50.0.0/24. Create the network again: …',
];
const OTHER = [
  '',
  'plugin "weaver" not found',
  'driver failed programming external connectivity on endpoint a: Bind for 0.0.0.0:80 failed: port is already allocated',
  'Post "http://%2Frun%2Fdocker%2Fplugins%2Fnoweave.sock/NetworkDriver.Join": EOF',
  'OCI runtime create failed: exec: "weave": executable file not found in $PATH: unknown',
  'IpamDriver.RequestAddress: 10.50.0.7 is in use by the engine',
];

async function engineWith(t: Test, ...containers: Partial<FakeContainer>[]): Promise<FakeEngine> {
  const dir = mkdtempSync(join(tmpdir(), 'weave-engine-'));
  const engine = await new FakeEngine(join(dir, 'docker.sock')).start();
  t.teardown(async () => {
    await engine.stop();
    rmSync(dir, { recursive: true });
  });
  for (const [n, container] of containers.entries()) {
    const exited = { Id: id(n), Name: `c${n}`, endpoints: { blue: '' }, restart: 'always', error: ABSENT[0]! };
    engine.containers.set(id(n), { ...exited, ...container });
  }
  return engine;
}

async function started(engine: FakeEngine, networks = ['blue']): Promise<{ names: string[]; logged: string[] }> {
  const logged: string[] = [];
  const log = (level: string, message: string, fields?: object) =>
    void logged.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const { signal } = new AbortController();
  await startGivenUp(engine.docker, inspector(engine.docker, signal), networks, log, signal);
  const names = engine.asked.flatMap((path) => /containers\/(c+[0-9a-f]+)\/start/.exec(path)?.[1] ?? []);
  return { names: names.map((each) => engine.containers.get(each)!.Name).sort(), logged: logged.sort() };
}

test('containers that nobody answered for are started, and nothing else is', async (t) => {
  const ours = ABSENT.map((error) => ({ error }));
  const others = OTHER.map((error) => ({ error }));
  const engine = await engineWith(t, ...ours, ...others);
  const { names, logged } = await started(engine);
  t.same(names, ['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6']);
  t.equal(logged.length, 7);
  t.match(logged[0], /^info started a container that the engine had given up .*"container":"c0".*plugin .*not found/);
  engine.asked.length = 0;
  t.same((await started(engine)).names, [], 'once');
});

test('only those that should run, on networks of ours', async (t) => {
  const engine = await engineWith(
    t,
    { restart: 'unless-stopped' },
    { restart: 'on-failure' },
    { restart: 'no' },
    { restart: '' },
    { status: 'created' },
    { status: 'running', Pid: 7 },
    { status: 'restarting' },
    { endpoints: { bridge: '' } },
    { endpoints: { bridge: '', blue: '' } },
  );
  t.same((await started(engine)).names, ['c0', 'c1', 'c8']);
  engine.asked.length = 0;
  await started(engine, []);
  t.same(engine.asked, [], 'where there is none nobody is asked');
});

test('one that does not start, and one that is gone meanwhile', async (t) => {
  const engine = await engineWith(t, {}, {});
  engine.startFails = 'no space left on device';
  engine.beforeAnswer = async (path) => {
    if (path === `/containers/${id(1)}/json`) engine.containers.delete(id(1));
  };
  const { logged } = await started(engine);
  t.equal(logged.length, 1);
  t.match(logged[0], /^error .*does not start .*no space left.*"hint":"When that is mended: docker start c0"/);
});
