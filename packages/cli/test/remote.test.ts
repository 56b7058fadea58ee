import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tap, { test } from 'tap';
import { extract } from 'tar-stream';
import { archiveOf, hashOf, sizeOf } from '../src/image/archive.ts';
import type { ImageFile } from '../src/image/files.ts';
import { librariesOf } from '../src/image/libraries.ts';
import { engineAddress } from '../src/remote/address.ts';
import { containerName } from '../src/remote/container.ts';
import { dockerArguments } from '../src/remote/docker-arguments.ts';
import { engineFailure } from '../src/remote/engine.ts';
import { mustBeShared } from '../src/remote/shared.ts';

const folder = mkdtempSync(join(tmpdir(), 'weave-image-'));
tap.teardown(() => rmSync(folder, { recursive: true }));

test('what DOCKER_HOST names', async (t) => {
  t.equal(engineAddress({}).name, 'unix:///var/run/docker.sock');
  for (const DOCKER_HOST of [
    'unix://',
    'unix:///x.sock',
    'tcp://h:1',
    'h:2375',
    '[::1]:1',
    'ssh://me@h:22',
    'http://h',
  ])
    t.equal(engineAddress({ DOCKER_HOST }).name, DOCKER_HOST);
  for (const DOCKER_HOST of ['foo://h', 'tcp://', 'tcp://h:99999', 'tcp://h/path', 'a b', ':'])
    t.throws(() => engineAddress({ DOCKER_HOST }), { code: 'WEAVE_INVALID_OPTION' }, DOCKER_HOST);
  const tls = { DOCKER_HOST: 'tcp://h:1', DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: folder };
  t.throws(() => engineAddress(tls), { code: 'WEAVE_ENGINE_DENIED', message: /ca\.pem/ });
  for (const name of ['ca', 'cert', 'key']) writeFileSync(join(folder, `${name}.pem`), name);
  t.equal(engineAddress(tls).name, 'tcp://h:1');
  t.equal(engineAddress({ ...tls, DOCKER_TLS_VERIFY: '', DOCKER_CERT_PATH: '/nowhere' }).name, 'tcp://h:1');
});

test('what an engine fails with', async (t) => {
  const cases: [object, string][] = [
    [{ code: 'ECONNREFUSED', message: 'connect' }, 'WEAVE_ENGINE_UNREACHABLE'],
    [{ code: 'EACCES', message: 'connect' }, 'WEAVE_PERMISSION_DENIED'],
    [{ code: 'DEPTH_ZERO_SELF_SIGNED_CERT', message: 'self-signed' }, 'WEAVE_ENGINE_DENIED'],
    [{ code: 'ERR_TLS_CERT_ALTNAME_INVALID', message: 'altnames' }, 'WEAVE_ENGINE_DENIED'],
    [{ statusCode: 403, message: 'authorization denied' }, 'WEAVE_ENGINE_DENIED'],
    [{ statusCode: 500, json: { message: 'no space left' } }, 'WEAVE_ENGINE_REFUSED'],
    [{ name: 'TimeoutError', message: 'aborted' }, 'WEAVE_ENGINE_UNREACHABLE'],
  ];
  for (const [error, code] of cases) t.match(engineFailure(error), { code }, code);
  t.match(engineFailure({ statusCode: 500, json: { message: 'no space left' } }).message, /no space left$/);
});

test('WEAVE_DOCKER_ARGS', async (t) => {
  t.same(dockerArguments(''), { name: undefined, restart: undefined, env: [], labels: {}, volumes: [] });
  t.same(dockerArguments(' -e A=1 --env=B=2  -l x=y=z --label w --name n -v /a:/b --restart=no '), {
    name: 'n',
    restart: 'no',
    env: ['A=1', 'B=2'],
    labels: { x: 'y=z', w: '' },
    volumes: ['/a:/b'],
  });
  for (const text of ['--privileged', '-e', 'stray', '--net=none'])
    t.throws(() => dockerArguments(text), { code: 'WEAVE_INVALID_OPTION' }, text);
});

test('the name of the container', async (t) => {
  const before = process.env.WEAVE_CONTAINER_NAME;
  t.teardown(() => {
    if (before === undefined) delete process.env.WEAVE_CONTAINER_NAME;
    else process.env.WEAVE_CONTAINER_NAME = before;
  });
  for (const name of ['weave', 'Net_d.2-x']) {
    process.env.WEAVE_CONTAINER_NAME = name;
    t.equal(containerName(), name);
  }
  for (const name of ['a/b', 'a b', '../x', '-a', 'x?']) {
    process.env.WEAVE_CONTAINER_NAME = name;
    t.throws(() => containerName(), { code: 'WEAVE_INVALID_OPTION', message: /no name of a container/ }, name);
  }
});

test('sockets that the host sees too', async (t) => {
  const asked = (httpAddr: string, statusAddr = 'off') => mustBeShared({ httpAddr, statusAddr }, ['/srv/weave']);
  for (const each of ['/run/x.sock', 'unix:///var/run/weave/x.sock', '/srv/weave/x.sock', '127.0.0.1:6784', 'off'])
    t.doesNotThrow(() => asked(each), each);
  for (const each of ['/srv/x.sock', '/run/../srv/x.sock', '/runny/x.sock', '/x.sock']) {
    t.throws(() => asked(each), { code: 'WEAVE_INVALID_OPTION', message: /container alone/ }, each);
    t.throws(() => asked('off', each), { code: 'WEAVE_INVALID_OPTION' }, each);
  }
});

test('the image’s files', async (t) => {
  const from = join(folder, 'program');
  writeFileSync(from, 'content');
  const files: ImageFile[] = [
    { path: '/bin/program', from, executable: true },
    { path: '/etc/text', text: 'text' },
    { path: '/var/run', link: '../run' },
  ];
  t.equal(sizeOf(files), 7);
  const hash = await hashOf(files);
  t.match(hash, /^[0-9a-f]{12}$/);
  utimesSync(from, 1, 1);
  t.equal(await hashOf(files), hash, 'when a file was written does not matter');
  t.not(await hashOf(files.with(1, { path: '/etc/text', text: 'other' })), hash);
  t.not(await hashOf(files.with(0, { path: '/bin/program', from })), hash, 'nor who may run it');
  let read = 0;
  const entries: object[] = [];
  for await (const entry of archiveOf(files, (bytes) => (read += bytes)).pipe(extract())) {
    let content = '';
    for await (const chunk of entry) content += chunk;
    const { name, mode, type, linkname } = entry.header;
    entries.push({ name, mode, type, content, ...(linkname ? { linkname } : {}) });
  }
  t.equal(read, 7);
  t.same(entries, [
    { name: 'bin/program', mode: 0o755, type: 'file', content: 'content' },
    { name: 'etc/text', mode: 0o644, type: 'file', content: 'text' },
    { name: 'var/run', mode: 0o644, type: 'symlink', content: '', linkname: '../run' },
  ]);
});

test('a file that goes while it is read fails the archive', async (t) => {
  const gone: ImageFile[] = [{ path: '/x', from: join(folder, 'nothing') }];
  await t.rejects(async () => {
    for await (const _ of archiveOf(gone, () => undefined));
  }, /ENOENT/);
});

test('shared libraries', async (t) => {
  const found = await librariesOf(process.execPath);
  t.ok(
    found.some((path) => /libc\.so\.6$|ld-musl/.test(path)),
    found.join(' '),
  );
  t.same(await librariesOf(join(folder, 'program')), [], 'what has none needs none');
});
