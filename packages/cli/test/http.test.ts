import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { VERSION, type Weave, WeaveError } from '@weave/sdk';
import tap, { type Test, test } from 'tap';
import { addressText, type ListenAddress, parseListenAddress } from '../src/http/address.ts';
import { serveHttp } from '../src/http/serve.ts';
import { createRig } from './rig.ts';

const rig = await createRig();
tap.teardown(() => rig[Symbol.asyncDispose]());

interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

interface Answered {
  status: number;
  type: string | undefined;
  text: string;
}

function ask(at: ListenAddress, path: string, { method = 'GET', headers = {}, body }: Asked = {}): Promise<Answered> {
  const where = typeof at === 'string' ? { socketPath: at } : at;
  return new Promise((resolve, reject) => {
    const sent = request({ ...where, path, method, headers, agent: false }, async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve({ status: response.statusCode!, type: response.headers['content-type'], text });
    });
    sent.on('error', reject).end(body);
  });
}

async function freePort(): Promise<number> {
  const probe = createServer();
  const port = await new Promise<number>((told) => {
    probe.listen(0, '127.0.0.1', () => told((probe.address() as { port: number }).port));
  });
  await new Promise((closed) => probe.close(closed));
  return port;
}

const served = (address: ListenAddress, weave: Weave = rig.weave, readOnly = false) =>
  serveHttp(weave, { address, readOnly, option: 'http-addr' });

const inRunDir = (name: string) => join(rig.runDir, name);

/** Remembers how it was called. */
function recording(answer: Record<string, unknown> = {}) {
  const calls: unknown[][] = [];
  const verb =
    (name: string) =>
    async (...args: unknown[]) => {
      calls.push([name, ...args]);
      if (answer[name] instanceof Error) throw answer[name];
      return answer[name];
    };
  const cluster = {
    ...rig.weave.cluster,
    ...Object.fromEntries(['connect', 'forget', 'remove', 'prime'].map((n) => [n, verb(n)])),
  };
  return { calls, weave: { ...rig.weave, cluster } as Weave };
}

test('addresses to listen on', async (t) => {
  const cases: [string, ListenAddress | undefined][] = [
    ['', undefined],
    ['off', undefined],
    ['/run/x.sock', '/run/x.sock'],
    ['unix:///run/x.sock', '/run/x.sock'],
    ['127.0.0.1:6784', { host: '127.0.0.1', port: 6784 }],
    ['tcp://127.0.0.1:1', { host: '127.0.0.1', port: 1 }],
    ['localhost:80', { host: '127.0.0.1', port: 80 }],
    ['[::1]:65535', { host: '::1', port: 65535 }],
    [':6784', { host: '::', port: 6784 }],
    ['0.0.0.0:6784', { host: '0.0.0.0', port: 6784 }],
  ];
  for (const [text, address] of cases) t.strictSame(parseListenAddress(text), address, text);
  for (const text of [
    'x',
    '6784',
    '127.0.0.1',
    'host:80',
    '1.2.3.4:0',
    '1.2.3.4:65536',
    '::1:80',
    '[::g]:1',
    '1.2.3.4:x',
    'run/x',
  ])
    t.throws(() => parseListenAddress(text), { code: 'WEAVE_INVALID_OPTION' }, text);
  t.equal(addressText({ host: '::1', port: 1 }), '[::1]:1');
});

test('what it tells', async (t) => {
  const at = inRunDir('told.sock');
  await using _ = await served(at);
  rig.addContainer(1);
  await rig.weave.attach({ container: 'c1' });
  t.match(await ask(at, '/status'), { status: 200, type: /text\/plain/, text: /\n {8}Service: router\n/ });
  for (const part of ['targets', 'connections']) t.match(await ask(at, `/status/${part}`), { status: 200, text: /^$/ });
  t.match(await ask(at, '/status/peers'), { status: 200, text: /^[0-9a-f]{32}\(.+\)\n$/ });
  t.match(await ask(at, '/status/ipam'), { status: 200, text: /^.* 1048576 IPs \(100\.0% of total\) \(1 active\)\n/ });
  const report = await ask(at, '/report', { headers: { accept: 'application/json' } });
  t.match(report, { status: 200, type: /application\/json/ });
  t.match(JSON.parse(report.text), { Ready: true, Version: VERSION, IPAM: { ActiveIPs: 1 } });
  t.match(await ask(at, '/report?format=%7B%7B.Version%7D%7D'), { status: 200, type: /text\/plain/, text: VERSION });
  t.match(await ask(at, '/report?format=%7B%7B.Nope%7D%7D'), { status: 400, text: /no field Nope\n$/ });
  t.match(await ask(at, '/report'), { status: 400, text: /one format is wanted/ });
  t.match(await ask(at, '/report?format=a&format=b'), { status: 400 });
  const metrics = await ask(at, '/metrics');
  t.match(metrics, { status: 200, type: /text\/plain; version=0\.0\.4/ });
  t.match(metrics.text, /^weave_ips\{state="local-used"\} 1$/m);
  t.match(metrics.text, /^weave_connections\{state="established",type="fastdp",encryption=""\} 0$/m);
  const { openapi, paths } = JSON.parse((await ask(at, '/openapi.json')).text);
  t.equal(openapi, '3.1.0');
  t.match(paths['/v1/attach'].post.requestBody.content['application/json'].schema, {
    required: ['target', 'addresses'],
  });
});

test('who has which addresses', async (t) => {
  const at = inRunDir('addresses.sock');
  await using _ = await served(at);
  const { id } = rig.addContainer(2);
  await rig.weave.networks.create({ name: 'green', subnets: [{ cidr: '10.3.0.0/24' }] });
  await rig.weave.attach({ container: 'c2' }, ['10.32.0.9/12']);
  await rig.weave.attach({ container: 'c2' }, [], { network: 'green' });
  t.match(await ask(at, '/ipinfo/defaultsubnet'), { status: 200, text: /^10\.32\.0\.0\/12$/ });
  t.match(await ask(at, '/ipinfo/tracker'), { status: 200, text: /^$/ });
  const { owned } = JSON.parse((await ask(at, '/ip')).text);
  const [own] = owned.filter((each: { containerid: string }) => each.containerid === id);
  t.same(own.addrs.toSorted(), ['10.3.0.1/24', '10.32.0.9/12']);
  t.equal((await ask(at, `/ip/${id}/10.3.0.0/24`)).text, '10.3.0.1/24');
  t.same((await ask(at, `/ip/${id}`)).text.split(' ').sort(), ['10.3.0.1/24', '10.32.0.9/12']);
  t.match(await ask(at, `/ip/${'0'.repeat(64)}`), { status: 200, text: /^$/ });
  t.match(await ask(at, `/ip/${id}/10.99.0.0/24`), { status: 400, text: /subnet of no network/ });
  t.match(await ask(at, `/ip/${id}`, { method: 'POST' }), { status: 404 }, 'none are handed out by themselves');
});

test('what it does', async (t) => {
  const at = inRunDir('does.sock');
  const { calls, weave } = recording({ remove: '12' });
  await using _ = await served(at, weave);
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const ok = { status: 200, text: /^$/ };
  t.match(await ask(at, '/connect', { method: 'POST', headers: form, body: 'peer=a&peer=b%3A1&replace=true' }), ok);
  t.match(await ask(at, '/connect?peer=c', { method: 'POST' }), ok);
  t.match(await ask(at, '/forget', { method: 'POST', headers: form, body: 'peer=a' }), ok);
  t.match(await ask(at, '/ring'), ok);
  t.match(await ask(at, '/peer/host2', { method: 'DELETE' }), {
    status: 200,
    text: /^12 IPs taken over from host2\n$/,
  });
  t.strictSame(calls, [
    ['connect', ['a', 'b:1'], { replace: true }],
    ['connect', ['c'], { replace: false }],
    ['forget', ['a']],
    ['prime'],
    ['remove', 'host2'],
  ]);
  for (const body of ['', 'peer=', `peer=${'x'.repeat(256)}`, 'peers=a', Array(300).fill('peer=a').join('&')])
    t.match(await ask(at, '/connect', { method: 'POST', headers: form, body }), {
      status: 400,
      text: /peers are wanted/,
    });
  t.equal(calls.length, 5, 'what is refused does nothing');
});

test('what fails', async (t) => {
  const at = inRunDir('fails.sock');
  const { weave } = recording({
    connect: new WeaveError('WEAVE_INVALID_ADDRESS', 'x is no host'),
    forget: new TypeError('a bug'),
    remove: new WeaveError('WEAVE_PEER_NOT_FOUND', 'there is no host x'),
  });
  await using _ = await served(at, weave);
  t.match(await ask(at, '/connect?peer=x', { method: 'POST' }), {
    status: 400,
    type: /text\/plain/,
    text: /^x is no host\n$/,
  });
  t.match(await ask(at, '/forget?peer=x', { method: 'POST' }), { status: 500, text: /^a bug\n$/ });
  t.match(await ask(at, '/peer/x', { method: 'DELETE' }), { status: 200, text: /^0 IPs/ }, 'as in 2.8');
  const alone = recording({ remove: new WeaveError('WEAVE_NOT_CLUSTERED', 'it is alone') });
  await using ___ = await served(inRunDir('alone.sock'), alone.weave);
  t.match(await ask(inRunDir('alone.sock'), '/peer/x', { method: 'DELETE' }), { status: 200, text: /^0 IPs/ });
  const peerAlive = recording({ remove: new WeaveError('WEAVE_PEER_ALIVE', 'it is alive') });
  await using __ = await served(inRunDir('alive.sock'), peerAlive.weave);
  t.match(await ask(inRunDir('alive.sock'), '/peer/x', { method: 'DELETE' }), { status: 500, text: /^it is alive\n$/ });
  for (const path of ['/nope', '/name', '/domain', '/status/nope', '/v1/reset', '/peer'])
    t.match(await ask(at, path), { status: 404, text: /^404 page not found\n$/ }, path);
  t.match(await ask(at, '/connect'), { status: 404 }, 'nor by another method');
  t.match(await ask(at, '/%zz'), { status: 400 });
});

test('the status address changes nothing', async (t) => {
  const at = inRunDir('status.sock');
  const { calls, weave } = recording();
  await using _ = await served(at, weave, true);
  for (const path of ['/status', '/status/ipam', '/metrics']) t.match(await ask(at, path), { status: 200 }, path);
  for (const [method, path] of [
    ['POST', '/connect?peer=x'],
    ['POST', '/forget?peer=x'],
    ['GET', '/ring'],
    ['DELETE', '/peer/x'],
    ['GET', '/ip'],
  ] as const)
    t.match(await ask(at, path, { method }), { status: 404 }, `${method} ${path}`);
  t.strictSame(calls, []);
});

/** Asks as a program that writes its own request. */
const rawly = (port: number, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(text));
    let heard = '';
    socket
      .on('data', (chunk) => (heard += chunk))
      .on('close', () => resolve(heard))
      .on('error', reject);
  });

async function refusesPages(t: Test, at: ListenAddress) {
  for (const origin of ['http://evil.example', 'null', 'http://127.0.0.1:6784'])
    t.match(await ask(at, '/status', { headers: { origin } }), { status: 403, text: /web pages/ }, origin);
}

test('nobody but this host, and no web page', async (t) => {
  const port = await freePort();
  const at = { host: '127.0.0.1', port };
  await using _ = await served(at);
  for (const host of [`127.0.0.1:${port}`, 'localhost', 'LOCALHOST:1', '127.9.9.9', '[::1]:80'])
    t.match(await ask(at, '/status', { headers: { host } }), { status: 200 }, host);
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    '192.0.2.1',
    '127.0.0.1.evil.example',
    'localhost.',
    '10.0.0.1:6784',
    '[fe80::1]',
    '@127.0.0.1',
  ])
    t.match(await ask(at, '/status', { headers: { host } }), { status: /403|400/ }, host);
  t.match(await rawly(port, 'GET /status HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200/, 'an old program says no host');
  t.match(await rawly(port, 'GET /status HTTP/1.1\r\nHost:\r\n\r\n'), /^HTTP\/1\.1 403/);
  await refusesPages(t, at);
  const socket = inRunDir('pages.sock');
  await using __ = await served(socket);
  await refusesPages(t, socket);
  await t.rejects(served(at), {
    code: 'WEAVE_PORT_IN_USE',
    message: new RegExp(`127\\.0\\.0\\.1:${port} already`),
    hint: /--http-addr off/,
  });
});

test('who was let in on purpose may call this host as he likes', async (t) => {
  const port = await freePort();
  await using _ = await served({ host: '0.0.0.0', port });
  t.match(await ask({ host: '127.0.0.1', port }, '/status', { headers: { host: 'host1:6782' } }), { status: 200 });
});
