import { join } from 'node:path';
import { test } from 'tap';
import { connect, serve, type Weave } from '../src/index.ts';
import { VERBS } from '../src/wire.ts';
import { ask } from './ask.ts';
import { createRig } from './rig.ts';

/** Answers every method with its name and what it was given. */
function echo(): Weave {
  const heard = (path: string): object =>
    new Proxy(() => undefined, {
      get: (_, name) =>
        typeof name === 'string' && name !== 'then' ? heard(path ? `${path}.${name}` : name) : undefined,
      apply: async (_, __, args) => ({ path, args }),
    });
  return heard('') as Weave;
}

test('every verb has a method of the client, and passes on what it is given', async (t) => {
  await using rig = await createRig();
  const socket = join(rig.dir, 'echo.sock');
  await using _ = await serve(echo(), socket);
  const weave = await connect({ socket });
  const id = 'a'.repeat(64);
  const ports = [{ protocol: 'tcp' as const, hostAddress: '::1', hostPort: 80, port: 8080 }];
  const network = {
    id,
    name: 'n',
    subnets: [{ cidr: 'x', gateway: 'y', ours: true }],
    options: { a: 'b' },
    internal: true,
  };
  const container = { id, name: 'web', pid: 7, endpoints: [id] };
  const calls: Record<string, [() => Promise<unknown>, ...args: unknown[]]> = {
    'networks.create': [
      () => weave.networks.create({ name: 'n', subnets: [{ cidr: 'x', range: 'y' }], internal: true }),
      { name: 'n', subnets: [{ cidr: 'x', range: 'y' }], internal: true },
    ],
    'networks.list': [() => weave.networks.list()],
    'networks.inspect': [() => weave.networks.inspect('n'), 'n'],
    'networks.grow': [() => weave.networks.grow('n', 's'), 'n', 's'],
    'networks.remove': [() => weave.networks.remove('n'), 'n'],
    'networks.adopt': [() => weave.networks.adopt(network), network],
    'networks.forget': [() => weave.networks.forget(id), id],
    'pools.request': [
      () => weave.pools.request({ family: 6, cidr: 'x', range: 'y' }),
      { family: 6, cidr: 'x', range: 'y' },
    ],
    'pools.release': [() => weave.pools.release('p'), 'p'],
    'pools.requestAddress': [() => weave.pools.requestAddress('p', 'a'), 'p', 'a'],
    'pools.releaseAddress': [() => weave.pools.releaseAddress('p', 'a'), 'p', 'a'],
    'pools.grants': [() => weave.pools.grants()],
    'endpoints.create': [
      () => weave.endpoints.create({ id, network: id, addresses: ['a'], mac: 'm' }),
      { id, network: id, addresses: ['a'], mac: 'm' },
    ],
    'endpoints.attach': [() => weave.endpoints.attach(id, 's'), id, 's'],
    'endpoints.detach': [() => weave.endpoints.detach(id), id],
    'endpoints.remove': [() => weave.endpoints.remove(id), id],
    'endpoints.list': [() => weave.endpoints.list({ network: 'n' }), { network: 'n' }],
    'endpoints.publish': [() => weave.endpoints.publish(id, ports), id, ports],
    'names.add': [
      () => weave.names.add({ addresses: ['a'], container: 'c', name: 'n' }),
      { addresses: ['a'], container: 'c', name: 'n' },
    ],
    'names.remove': [() => weave.names.remove({ container: 'c' }), { container: 'c' }],
    'names.list': [() => weave.names.list({ of: id }), { of: id }],
    'names.lookup': [() => weave.names.lookup('n'), 'n'],
    attach: [() => weave.attach({ pid: 7 }, ['a', 'b'], { network: 'n' }), { pid: 7 }, ['a', 'b'], { network: 'n' }],
    detach: [() => weave.detach({ netns: '/x' }, ['a'], { network: 'n' }), { netns: '/x' }, ['a'], { network: 'n' }],
    overview: [() => weave.overview()],
    expose: [
      () => weave.expose(['a'], { network: 'n', masquerade: false }),
      ['a'],
      { network: 'n', masquerade: false },
    ],
    hide: [() => weave.hide(['a'], { network: 'n' }), ['a'], { network: 'n' }],
    'bridges.attach': [() => weave.bridges.attach('b', { network: 'n' }), 'b', { network: 'n' }],
    'bridges.detach': [() => weave.bridges.detach('b', { network: 'n' }), 'b', { network: 'n' }],
    'cluster.peers': [() => weave.cluster.peers()],
    'cluster.pools': [() => weave.cluster.pools()],
    'cluster.remove': [() => weave.cluster.remove('h2'), 'h2'],
    'cluster.connect': [() => weave.cluster.connect(['h2'], { replace: true }), ['h2'], { replace: true }],
    'cluster.forget': [() => weave.cluster.forget(['h2']), ['h2']],
    'cluster.targets': [() => weave.cluster.targets()],
    'cluster.connections': [() => weave.cluster.connections()],
    'cluster.prime': [() => weave.cluster.prime()],
    'cluster.rebuild': [() => weave.cluster.rebuild()],
    'engine.report': [
      () => weave.engine.report({ networks: [], containers: [container], gone: [id], before: [id] }),
      { networks: [], containers: [container], gone: [id], before: [id] },
    ],
    'engine.started': [() => weave.engine.started(container), container],
    'engine.named': [() => weave.engine.named(id, 'n'), id, 'n'],
    'engine.ended': [() => weave.engine.ended(id), id],
    'engine.removed': [() => weave.engine.removed(id), id],
    'engine.compare': [
      () => weave.engine.compare({ networks: [], containers: [container], gone: [id], before: [id] }),
      { networks: [], containers: [container], gone: [id], before: [id] },
    ],
    check: [() => weave.check({ fix: true }), { fix: true }],
    status: [() => weave.status()],
    reset: [() => weave.reset()],
  };
  t.strictSame(Object.keys(calls).sort(), Object.keys(VERBS).sort(), 'all of them are tried here');
  for (const [path, [call, ...args]] of Object.entries(calls)) t.strictSame(await call(), { path, args }, path);

  const { path: _path, args } = (await weave.attach({ container: 'web' })) as unknown as {
    path: string;
    args: unknown;
  };
  t.strictSame(args, [{ container: 'web' }, [], {}], 'what is left out is left out');
  t.strictSame(((await weave.pools.requestAddress('p')) as unknown as { args: unknown }).args, ['p', null]);
});

test('what is called over the socket is what the interface has', async (t) => {
  await using rig = await createRig({ way: 'connect' });
  const methods = (weave: object, prefix = ''): string[] =>
    Object.entries(weave).flatMap(([name, value]) =>
      typeof value === 'function' ? [`${prefix}${name}`] : methods(value as object, `${name}.`),
    );
  t.strictSame(methods(rig.weave).sort(), methods(rig.here).sort(), 'both ways in have the same methods');
  const verbs = methods(rig.here).filter((name) => name !== 'events' && name !== 'close');
  t.strictSame(verbs.sort(), Object.keys(VERBS).sort(), 'and each is a verb');
});

test('both ways answer the same', async (t) => {
  await using rig = await createRig({ way: 'connect' });
  const { here, weave } = rig;
  rig.run('web');
  await here.networks.create({
    name: 'blue',
    options: { 'works.weave.gateway': 'weave' },
    subnets: [{ cidr: '10.3.0.0/24' }],
  });
  const questions: ((w: Weave) => Promise<unknown>)[] = [
    (w) => w.attach({ container: 'web' }, ['10.3.0.7/24', 'net:10.3.0.0/24'], { network: 'blue' }),
    (w) => w.networks.list(),
    (w) => w.networks.inspect('blue'),
    (w) => w.endpoints.list(),
    (w) => w.endpoints.list({ network: 'weave' }),
    (w) => w.status(),
    (w) => w.networks.forget('f'.repeat(64)),
    (w) => w.detach({ container: 'web' }, ['10.9.9.9/24']),
  ];
  for (const question of questions) t.strictSame(await question(weave), await question(here));
  const mistakes: ((w: Weave) => Promise<unknown>)[] = [
    (w) => w.networks.inspect('nosuch'),
    (w) => w.attach({ container: 'web' }, ['10.2.1/24']),
    (w) => w.networks.create({ name: 'x', options: { colour: 'red' } }),
  ];
  for (const mistake of mistakes) {
    const [there, ours] = await Promise.all([weave, here].map((w) => mistake(w).catch((error: unknown) => error)));
    t.match(there, { name: 'WeaveError' });
    t.strictSame(JSON.parse(JSON.stringify(there)), JSON.parse(JSON.stringify(ours)), 'code, kind, message and hint');
  }
});

test('a bug of ours is told as one, without its stack', async (t) => {
  await using rig = await createRig();
  const socket = join(rig.dir, 'bug.sock');
  const broken = { ...rig.here, status: () => Promise.reject(new TypeError('x is not a function')) };
  await using _ = await serve(broken, socket);
  const { status, text } = await ask(socket, '/v1/status', '{}');
  t.equal(status, 500);
  t.match(JSON.parse(text), {
    error: { code: 'WEAVE_BUG', kind: 'bug', message: 'x is not a function', hint: /report/ },
  });
  t.notMatch(text, /\bat .*\.ts/);
  await t.rejects(connect({ socket }), { code: 'WEAVE_BUG', kind: 'bug' });
});

test('what is not a verb, or not JSON', async (t) => {
  await using rig = await createRig();
  const before = rig.state();
  const requests: [path: string, body: string | undefined, headers?: Record<string, string>, method?: string][] = [
    ['/v1/status', ''],
    ['/v1/status', '{'],
    ['/v1/status', 'null'],
    ['/v1/status', '[]'],
    ['/v1/status', '{"__proto__":{"x":1}}'],
    ['/v1/status', '{}', { 'content-type': 'text/plain' }],
    ['/v1/status', '{}', { 'content-type': '' }],
    ['/v1/networks.create', JSON.stringify({ name: 'x'.repeat(2_000_000) })],
    ['/v1/networks.create', JSON.stringify({ name: 'x', id: 'a'.repeat(64) })],
    ['/v1/reset', '{"really":true}'],
    ['/v1/nosuch', '{}'],
    ['/v1/constructor', '{}'],
    ['/v2/status', '{}'],
    ['/', '{}'],
    ['/v1/../../etc/passwd', '{}'],
    ['/%', '{}'],
    ['/v1/status', undefined, {}, 'GET'],
    ['/v1/reset', undefined, {}, 'DELETE'],
    ['/v1/events', '{}'],
  ];
  for (const [path, body, headers, method] of requests) {
    const { status, text } = await ask(rig.socket, path, body, headers, method);
    const name = `${method ?? 'POST'} ${path} ${body?.slice(0, 40)}`;
    t.equal(status, 400, name);
    t.match(
      JSON.parse(text),
      { error: { code: 'WEAVE_INVALID_REQUEST', kind: 'invalid', message: /\w/, hint: /\w/ } },
      text,
    );
    t.notMatch(text, /\bat .*\.[jt]s/, 'no stack');
  }
  t.equal(rig.state(), before);
});

test('what Prometheus reads', async (t) => {
  await using rig = await createRig({ way: 'connect' });
  rig.firewall.disturbed = true;
  await rig.weave.check({ fix: true });
  const { status, text } = await ask(rig.socket, '/metrics', undefined, {}, 'GET');
  t.equal(status, 200);
  t.match(text, /^# TYPE weave_networks gauge\nweave_networks \d$/m);
  t.match(text, /^# TYPE weave_repairs_total counter\n(?:.*\n)*weave_repairs_total\{operation="setFilter"\} 1$/m);
});
