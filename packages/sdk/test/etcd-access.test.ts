import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Test, t } from 'tap';
import { type EtcdOptions, etcdDirectory } from '../src/etcd.ts';
import { type Authority, createAuthority } from './certificates.ts';
import { base64, EtcdServer } from './etcd-server.ts';

const dir = mkdtempSync(join(tmpdir(), 'weave-access-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));

async function started(t: Test, flags: string[] = []): Promise<EtcdServer> {
  const [server] = await EtcdServer.start(flags);
  t.teardown(() => server![Symbol.asyncDispose]());
  return server!;
}

/** What a list answers, or the code of what it is refused with. */
async function asked(options: EtcdOptions): Promise<string> {
  const directory = await etcdDirectory(options);
  const answer = await directory.list('/weave/').then(
    () => 'answers',
    (error) => error.code,
  );
  await directory.close();
  return answer;
}

const DENIED = 'WEAVE_DIRECTORY_DENIED';
const UNREACHABLE = 'WEAVE_DIRECTORY_UNREACHABLE';

async function secured(t: Test, authority: Authority, names: string): Promise<EtcdServer> {
  const { certPath, keyPath } = await authority.sign('server', names);
  const flags = ['--cert-file', certPath, '--key-file', keyPath, '--trusted-ca-file', authority.path];
  return started(t, [...flags, '--client-cert-auth']);
}

t.test('TLS: both sides show a certificate, and look at what they are shown', async (t) => {
  const [ours, theirs] = [await createAuthority(dir, 'ours'), await createAuthority(dir, 'theirs')];
  const [us, strangers] = [await ours.sign('host', 'DNS:host'), await theirs.sign('host', 'DNS:host')];
  const server = await secured(t, ours, 'IP:127.0.0.1,DNS:localhost');
  const [endpoint, ca] = [server.endpoint, ours.pem];
  const named = `localhost:${endpoint.split(':')[1]}`;
  const { cert, key } = us;
  for (const [what, options, expected] of [
    ['by its address', { endpoints: [endpoint], tls: { ca, cert, key } }, 'answers'],
    ['by its name', { endpoints: [named], tls: { ca, cert, key } }, 'answers'],
    ['we show none', { endpoints: [endpoint], tls: { ca } }, DENIED],
    ['we show a stranger’s', { endpoints: [endpoint], tls: { ca, cert: strangers.cert, key: strangers.key } }, DENIED],
    ['it shows a stranger’s', { endpoints: [endpoint], tls: { ca: theirs.pem, cert, key } }, DENIED],
    ['it is nobody’s whom the system trusts', { endpoints: [endpoint], tls: { cert, key } }, DENIED],
    ['without TLS', { endpoints: [endpoint] }, UNREACHABLE],
  ] as const)
    t.equal(await asked(options), expected, what);
});

t.test('TLS: a server that shows another’s name is refused', async (t) => {
  const authority = await createAuthority(dir, 'names');
  const { cert, key } = await authority.sign('host', 'DNS:host');
  const { endpoint } = await secured(t, authority, 'DNS:elsewhere,IP:127.0.0.2');
  const tls = { ca: authority.pem, cert, key };
  t.equal(await asked({ endpoints: [endpoint], tls }), DENIED);
});

t.test('TLS where there is none; what is no certificate', async (t) => {
  const { endpoint } = await started(t);
  const authority = await createAuthority(dir, 'unused');
  t.equal(await asked({ endpoints: [endpoint], tls: { ca: authority.pem } }), UNREACHABLE);
  const invalid = { code: 'WEAVE_INVALID_OPTION', kind: 'invalid' };
  await t.rejects(etcdDirectory({ endpoints: [endpoint], tls: { ca: 'no PEM' } }), invalid);
  await t.rejects(etcdDirectory({ endpoints: [endpoint], tls: { cert: authority.pem } }), invalid, 'without its key');
  await t.rejects(etcdDirectory({ endpoints: [] }), invalid);
});

const PASSWORD = 'pässword';

/** An etcd that knows root, and weave who may do all under /weave/. */
async function withUsers(t: Test): Promise<EtcdServer> {
  const server = await started(t);
  await server.post('auth/user/add', { name: 'root', password: 'root' });
  await server.post('auth/role/add', { name: 'root' });
  await server.post('auth/user/grant', { user: 'root', role: 'root' });
  await server.post('auth/role/add', { name: 'weave' });
  const perm = { permType: 'READWRITE', key: base64('/weave/'), range_end: base64('/weave0') };
  await server.post('auth/role/grant', { name: 'weave', perm });
  await server.post('auth/user/add', { name: 'weave', password: PASSWORD });
  await server.post('auth/user/grant', { user: 'weave', role: 'weave' });
  await server.post('auth/enable', {});
  return server;
}

t.test('users: who is known may do what it may, and nobody else anything', async (t) => {
  const { endpoint } = await withUsers(t);
  const user = { name: 'weave', password: PASSWORD };
  for (const [what, options, expected] of [
    ['known', { user }, 'answers'],
    ['a wrong password', { user: { ...user, password: 'wrong' } }, DENIED],
    ['unknown', { user: { ...user, name: 'nobody' } }, DENIED],
    ['without one', {}, DENIED],
    ['elsewhere', { user, prefix: '/other/' }, DENIED],
  ] as const)
    t.equal(await asked({ endpoints: [endpoint], ...options }), expected, what);
});

t.test('users: what etcd has forgotten of us is proven again, and nothing is missed', async (t) => {
  const server = await withUsers(t);
  const options = { endpoints: [server.endpoint], user: { name: 'weave', password: PASSWORD } };
  const [directory, other] = [await etcdDirectory(options), await etcdDirectory(options)];
  t.teardown(() => Promise.all([directory.close(), other.close()]));
  const told: string[] = [];
  directory.follow('/weave/', (news) =>
    told.push(...(news.kind === 'all' ? ['all'] : news.entries.map(({ value }) => value))),
  );
  const until = async (value: string) => {
    for (const end = performance.now() + 20_000; !told.includes(value) && performance.now() < end; ) await delay(20);
    t.ok(told.includes(value), `it is told: ${value}`);
  };
  const put = (value: string) => other.commit({ writes: [{ key: '/weave/k', value, leased: true }] });
  await until('all');
  await put('at first');
  await until('at first');
  // Whatever changes of users and roles makes all tokens old.
  const { token } = (await server.post('auth/authenticate', { name: 'root', password: 'root' })) as { token?: string };
  await server.post('auth/user/add', { name: 'another', password: 'x' }, token);
  t.ok(await put('with a new token'), 'it is written at once');
  await until('with a new token');
  t.ok(await directory.list('/weave/'));
  // A member that starts knows no tokens.
  await server.kill();
  await server.run();
  for (let tries = 0; tries < 100 && !(await put('after a start').catch(() => false)); tries++) await delay(50);
  await until('after a start');
  t.equal((await directory.list('/weave/')).entries.length, 1);
});

t.test('a user where nobody has to be one', async (t) => {
  const { endpoint } = await started(t);
  t.equal(await asked({ endpoints: [endpoint], user: { name: 'weave', password: PASSWORD } }), 'answers');
});
