import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Weave } from '@weave/sdk';
import tap, { test } from 'tap';
import { servePlugin } from '../src/index.ts';
import { type Answer, type CallOptions, call, createRig, EMPTY, ID, makeNetwork } from './rig.ts';

const rig = await createRig();
tap.teardown(() => rig[Symbol.asyncDispose]());

const ACTIVATED = { Implements: ['NetworkDriver', 'IpamDriver'] };
const echoed = { NetworkID: ID.network(1), Options: { a: 'b' } };

/** Answers with what was sent: its body counts. */
const echo = (options?: CallOptions) => rig.call('NetworkDriver.AllocateNetwork', echoed, options);

/** Everything that comes back on a connection of its own for these bytes, until it is quiet. */
async function raw(socket: Socket, bytes: string): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  socket.write(bytes);
  while (!/\r\n\r\n\{.*\}$/s.test(text)) await once(socket, 'data');
  return text;
}

async function dial(path = rig.socket): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  return socket;
}

// Begun first: it waits for longer than Node's own keep-alive does.
const idle = (async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let opened = 0;
  const { createConnection } = agent;
  agent.createConnection = function (this: Agent, ...args) {
    opened++;
    return createConnection.apply(this, args);
  } as typeof createConnection;
  const first = await echo({ agent });
  await delay(6200);
  const second = await echo({ agent });
  agent.destroy();
  return { first, second, opened };
})();

test('headers of every engine', async (t) => {
  const variants: CallOptions[] = [
    { headers: { host: '' } },
    { headers: { host: 'plugin.moby.localhost' } },
    { headers: { host: '/run/docker/plugins/weave.sock' } },
    { headers: { accept: 'application/vnd.docker.plugins.v1.1+json' } },
    { headers: { accept: 'application/vnd.docker.plugins.v1+json, */*' } },
    { headers: { 'content-type': 'application/json' } },
    { headers: { 'content-type': 'application/vnd.docker.plugins.v1.2+json' } },
    { headers: { 'content-type': 'text/plain; charset=utf-8' } },
    { headers: { expect: '100-continue' } },
    { chunked: true },
    { chunked: true, headers: { 'content-type': 'application/json' } },
  ];
  for (const variant of variants) {
    const name = JSON.stringify(variant);
    t.match(await echo(variant), { status: 200, body: { Options: { a: 'b' } } }, `with a body: ${name}`);
    t.match(
      await rig.call('Plugin.Activate', undefined, variant),
      { status: 200, body: ACTIVATED },
      `without: ${name}`,
    );
  }
  const socket = await dial();
  t.match(
    await raw(socket, 'POST /Plugin.Activate HTTP/1.1\r\nContent-Length: 0\r\n\r\n'),
    /^HTTP\/1\.1 200 .*"NetworkDriver"/s,
    'no Host at all',
  );
  socket.destroy();
});

test('what is no request of the protocol is refused in its terms', async (t) => {
  const before = rig.state();
  const large = JSON.stringify({ NetworkID: ID.network(1), Options: { a: 'x'.repeat(2 << 20) } });
  const cases: [string, CallOptions, string?][] = [
    ['larger than 1 MiB', { raw: large }],
    ['larger than 1 MiB, chunked', { raw: large, chunked: true }],
    ['empty', { raw: '' }],
    ['empty, chunked', { raw: '', chunked: true }],
    ['empty, with a type', { raw: '', headers: { 'content-type': 'application/json' } }],
    ['spaces', { raw: '  \n' }],
    ['cut short', { raw: '{"NetworkID":"' }],
    ['two documents', { raw: '{}{}' }],
    ['not UTF-8', { raw: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]) }],
    ['a prototype', { raw: `{"__proto__":{"NetworkID":"${ID.network(1)}"}}` }],
    ['no such method', { raw: '{}' }, 'NetworkDriver.allocatenetwork'],
    ['a long one', { raw: '{}' }, 'x'.repeat(5000)],
    ['no method', { raw: '{}' }, ''],
  ];
  for (const [name, options, method = 'NetworkDriver.AllocateNetwork'] of cases) {
    const { status, body } = await rig.call(method, undefined, options);
    t.equal(status, 400, name);
    t.ok(typeof body.Err === 'string' && body.Err !== '' && body.Err === body.Error, 'in both keys', { body });
    t.ok(String(body.Err).length < 1000, 'without saying all of it back');
  }
  t.equal(rig.state(), before);
});

test('both names, each on a socket for root and its group', async (t) => {
  for (const name of ['weave', 'weavemesh']) {
    const path = join(rig.dir, `${name}.sock`);
    t.same((await call(path, 'Plugin.Activate')).body, ACTIVATED, name);
    t.equal((statSync(path).mode & 0o777).toString(8), '660');
  }
});

test('what is left of a daemon that was killed is replaced', async (t) => {
  const dir = join(rig.dir, 'plugins');
  mkdirSync(dir);
  const sockets = ['stale', 'file', 'deep/er/new'].map((name) => join(dir, `${name}.sock`));
  const dies = `net.createServer().listen(${JSON.stringify(sockets[0])}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', dies]);
  t.ok(statSync(sockets[0]!).isSocket());
  await t.rejects(call(sockets[0]!, 'Plugin.Activate'), { code: 'ECONNREFUSED' }, 'nobody is there');
  writeFileSync(sockets[1]!, 'not a socket');
  const plugin = await servePlugin(rig.weave, { sockets });
  for (const socket of sockets) t.same((await call(socket, 'Plugin.Activate')).body, ACTIVATED, socket);
  await plugin[Symbol.asyncDispose]();
  t.same(sockets.filter(existsSync), [], 'and gone when it stops');
});

test('a socket that cannot be had is said so, and no other stays', async (t) => {
  const dir = join(rig.dir, 'half');
  mkdirSync(join(dir, 'taken.sock'), { recursive: true });
  const sockets = ['free', 'taken'].map((name) => join(dir, `${name}.sock`));
  for (const order of [sockets, sockets.toReversed()])
    await t.rejects(servePlugin(rig.weave, { sockets: order }), {
      code: 'WEAVE_INVALID_REQUEST',
      message: /^cannot listen on .*taken\.sock/,
    });
  t.notOk(existsSync(sockets[0]!), 'closed again');
});

/** A plugin whose networks are made only once `go` is called. */
async function slowPlugin(name: string) {
  let go = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  let waiting = 0;
  const networks: Weave['networks'] = {
    ...rig.weave.networks,
    async adopt(spec) {
      waiting++;
      await gate;
      await rig.weave.networks.adopt(spec);
    },
  };
  const socket = join(rig.dir, name);
  const plugin = await servePlugin({ ...rig.weave, networks }, { sockets: [socket] });
  const underWay = async (count: number) => {
    while (waiting < count) await delay(5);
  };
  return { socket, plugin, go, underWay };
}

const docker = (network: number) => ({
  NetworkID: ID.network(network),
  Options: {},
  IPv4Data: [{ AddressSpace: 'LocalDefault', Pool: `172.${network}.0.0/16`, Gateway: `172.${network}.0.1/16` }],
  IPv6Data: [],
});

test('a daemon that stops answers what is under way, and takes nothing new', async (t) => {
  const { socket, plugin, go, underWay } = await slowPlugin('slow.sock');
  const agent = new Agent({ keepAlive: true });
  const resting = await dial(socket);
  await raw(resting, 'POST /Plugin.Activate HTTP/1.1\r\nContent-Length: 0\r\n\r\n');
  // The engine dials two at times where it then needs one.
  const silent = await dial(socket);
  const ended = once(silent, 'close');
  const begun = await dial(socket);
  begun.write('POST /Plugin.Activate HTTP/1.1\r\n');
  const answers = [20, 21, 22].map((n) => call(socket, 'NetworkDriver.CreateNetwork', docker(n), { agent }));
  await underWay(3);
  const closed = once(resting, 'close');
  let disposed = false;
  const disposing = plugin[Symbol.asyncDispose]().then(() => {
    disposed = true;
  });
  await Promise.all([closed, ended]);
  t.pass('a connection that rests is closed, and one that never said anything');
  await t.rejects(call(socket, 'Plugin.Activate'), /ENOENT|ECONNREFUSED/, 'a new one is refused');
  await delay(100);
  t.equal(disposed, false, 'it waits for those under way');
  t.match(await raw(begun, 'Content-Length: 0\r\n\r\n'), /^HTTP\/1.1 200 /, 'one that had only begun too');
  go();
  for (const answer of await Promise.all(answers)) {
    t.match(answer, { status: 200, body: {} });
    t.equal(answer.headers.connection, 'close', 'so that the engine dials anew for the next');
  }
  await disposing;
  agent.destroy();
  for (const n of [20, 21, 22]) await rig.call('NetworkDriver.DeleteNetwork', { NetworkID: ID.network(n) });
});

test('whoever is let in while it stops is answered', async (t) => {
  const outcomes = new Map<string, number>();
  const count = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  for (let round = 0; round < 20; round++) {
    const socket = join(rig.dir, `race-${round}.sock`);
    const plugin = await servePlugin(rig.weave, { sockets: [socket] });
    const ask = async (wait: number) => {
      for (let i = 0; i < wait; i++) await new Promise(setImmediate);
      try {
        const { status } = await call(socket, 'NetworkDriver.AllocateNetwork', echoed);
        count(String(status));
      } catch (error) {
        count((error as NodeJS.ErrnoException).code ?? String(error));
      }
    };
    const asking = Array.from({ length: 30 }, (_, i) => ask(i));
    for (let i = 0; i < round; i++) await new Promise(setImmediate);
    await plugin[Symbol.asyncDispose]();
    await Promise.all(asking);
  }
  t.ok((outcomes.get('200') ?? 0) > 0);
  const others = [...outcomes.keys()].filter((outcome) => !['200', 'ENOENT', 'ECONNREFUSED'].includes(outcome));
  t.same(others, [], 'or finds nobody there', { outcomes: [...outcomes] });
});

test('a hundred at once', async (t) => {
  const network = ID.network(100);
  const pool = await makeNetwork(rig, network, '10.100.0.0/16');
  const ids = Array.from({ length: 100 }, (_, n) => ({ NetworkID: network, EndpointID: ID.endpoint(n) }));
  const all = async (method: string, bodies: object[]): Promise<Answer[]> => {
    const answers = await Promise.all(bodies.map((body) => rig.call(method, body)));
    t.same([...new Set(answers.map((a) => a.status))], [200], method);
    return answers;
  };
  const requested = await all(
    'IpamDriver.RequestAddress',
    ids.map(() => ({ PoolID: pool, Address: '' })),
  );
  const addresses = requested.map(({ body }) => String(body.Address));
  t.equal(new Set(addresses).size, 100, 'every address once');
  await all(
    'NetworkDriver.CreateEndpoint',
    ids.map((id, n) => ({ ...id, Interface: { Address: addresses[n], AddressIPv6: '', MacAddress: '' } })),
  );
  const joined = await all(
    'NetworkDriver.Join',
    ids.map((id, n) => ({ ...id, SandboxKey: `/s/${n}`, Options: {} })),
  );
  const links = joined.map(({ body }) => (body.InterfaceName as { SrcName: string }).SrcName);
  t.equal(new Set(links).size, 100, 'every link once');
  t.equal((await rig.weave.endpoints.list()).length, 100);
  await all('NetworkDriver.Leave', ids);
  await all('NetworkDriver.DeleteEndpoint', ids);
  await all(
    'IpamDriver.ReleaseAddress',
    addresses.map((text) => ({ PoolID: pool, Address: text.split('/')[0] })),
  );
  await rig.call('IpamDriver.ReleasePool', { PoolID: pool });
  await rig.call('NetworkDriver.DeleteNetwork', { NetworkID: network });
  t.same(await rig.weave.endpoints.list(), []);
});

test('a connection that rests for longer than 5 s serves on', async (t) => {
  const { first, second, opened } = await idle;
  t.match([first.status, second.status], [200, 200]);
  t.equal(opened, 1, 'the same connection');
  t.same(await rig.leftovers(), EMPTY, 'and of all these tests nothing is left');
});
