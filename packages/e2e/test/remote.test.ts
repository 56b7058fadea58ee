import { execFileSync } from 'node:child_process';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import tap, { test } from 'tap';
import { createLab, type Host } from '../src/index.ts';

const lab = await createLab({ hosts: [{ docker: false }, { docker: false }] });
tap.teardown(() => lab.dispose());
/** On one runs an engine that asks for certificates; on the other sits a user with no rights at all. */
const [host, desk] = lab.hosts as [Host, Host];
const USER = 4711;
const HOME = '/run/home';
const engine = `tcp://${host.ip}:2376`;

await host.exec(`set -e; mkdir -p /run/tls/user; cd /run/tls; new="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
  openssl req -x509 $new -keyout ca.key -out ca.pem -subj /CN=ca -days 2
  printf 'subjectAltName=IP:${host.ip}\\nextendedKeyUsage=serverAuth,clientAuth\\n' >ext
  for who in server user; do
    openssl req $new -keyout $who.key -out $who.csr -subj /CN=$who
    openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out $who.pem -extfile ext -days 2
  done
  cp ca.pem user/ca.pem; cp user.pem user/cert.pem; cp user.key user/key.pem; chmod 644 user/key.pem`);
const tls = [
  '--tlsverify',
  '--tlscacert=/run/tls/ca.pem',
  '--tlscert=/run/tls/server.pem',
  '--tlskey=/run/tls/server.key',
];
await host.dockerd.start({ args: ['-H', engine, ...tls] });
const busybox = fileURLToPath(new URL('../../../tools/busybox-image.sh', import.meta.url));
await host.exec(['docker', 'load', '-q'], { stdin: execFileSync('sh', [busybox], { maxBuffer: 64 << 20 }) });
const certificates = (await host.exec('tar -c -C /run/tls/user . | base64')).stdout;
await desk.exec(
  `mkdir -p ${HOME}/.docker ${HOME}/wrong ${HOME}/bin; base64 -d | tar -x -C ${HOME}/.docker
  cp ${HOME}/.docker/ca.pem ${HOME}/wrong; cd ${HOME}/wrong
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -subj /CN=x 2>/dev/null
  printf '#!/bin/sh\\nexec docker -H ${engine} system dial-stdio\\n' >${HOME}/bin/ssh; chmod +x ${HOME}/bin/ssh
  chown -R ${USER}:${USER} ${HOME}`,
  { stdin: certificates },
);

const remote = { DOCKER_HOST: engine, DOCKER_TLS_VERIFY: '1', HOME };

const { stdout: PATH } = await desk.exec('printf %s "$PATH"');

/** The command of the user, who has no root, no group and no shell on the engine's host, and nothing of tap's. */
function as(words: string[], env: Record<string, string> = remote, on = desk) {
  const user = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];
  const variables = Object.entries({ HOME, PATH, ...env }).map(([name, value]) => `${name}=${value}`);
  return on.exec([...user, 'env', '-i', ...variables, ...words], { allowFail: true, timeoutMs: 120_000 });
}
const weave = (...args: string[]) => as(['weave', ...args]);
const images = () => host.docker('images', '-aq', '--filter', 'label=works.weave.image');
const containers = () => host.docker('ps', '-aq', '--filter', 'label=works.weave.role');

test('who sits there', async (t) => {
  t.match(await as(['id']), { stdout: /^uid=4711 gid=4711 groups=4711\n/ });
  t.match(await as(['weave', 'status'], {}), {
    code: 7,
    stderr:
      /^weave: the Docker engine at unix:.* does not answer.*ENOENT.*\n.*DOCKER_HOST.*\(WEAVE_ENGINE_UNREACHABLE\)\n$/,
  });
});

test('before it was launched', async (t) => {
  const stderr = /^weave: weave container is not present\. Have you launched it\?\n/;
  for (const command of ['status', 'ps', 'prime', 'check'])
    t.match(await weave(command), { code: 7, stdout: '', stderr });
  t.match(await weave('stop'), { code: 0, stdout: 'weave is not running\n', stderr: '' });
  t.match(await weave('version'), { code: 0, stdout: /^weave script \S+\n$/, stderr: '' });
});

/** The engine, by a socket of the host's that does to what passes what a test wants. */
async function through(server: Server, path: string): Promise<{ env: Record<string, string> }> {
  await new Promise<void>((listening) => server.listen(host.path(path), listening));
  await host.exec(['chmod', '666', path]);
  tap.teardown(() => server.close());
  return { env: { DOCKER_HOST: `unix://${path}` } };
}

/** Ends each connection after so many bytes to the engine. */
const cutAfter = (bytes: number) =>
  createServer((near) => {
    const far = connect(host.path('/run/docker.sock'));
    let passed = 0;
    near.on('data', (chunk) => {
      passed += chunk.length;
      if (passed > bytes) far.destroy();
    });
    near.pipe(far).pipe(near);
    far.on('close', () => near.destroy());
    for (const end of [near, far]) end.on('error', () => undefined);
  });

test('what is wrong is said once, and nothing is half-made', async (t) => {
  const refused = async (env: Record<string, string>, code: number, stderr: RegExp, on = desk) => {
    for (const command of ['launch', 'status', 'setup']) {
      const result = await as(['weave', command], env, on);
      const failed = command === 'launch' && code === 7 ? [1, 7] : [code];
      t.match(result, { stdout: '', stderr }, `${command}: ${stderr}`);
      t.ok(failed.includes(result.code), `${command}: ${result.code}`);
      t.equal(result.stderr.trimEnd().split('\n').length, 2, 'what, and what to do');
    }
  };
  await refused(
    { ...remote, DOCKER_CERT_PATH: `${HOME}/wrong` },
    6,
    /do not trust each other: .*certificate.*\n.*WEAVE_ENGINE_DENIED/,
  );
  await refused(
    { ...remote, DOCKER_CERT_PATH: '/nowhere' },
    6,
    /certificate cannot be read: .*ca\.pem.*\n.*WEAVE_ENGINE_DENIED/,
  );
  await refused({ DOCKER_HOST: engine }, 6, /wants TLS\n.*DOCKER_TLS_VERIFY=1.*WEAVE_ENGINE_DENIED/);
  await refused(
    { DOCKER_HOST: `tcp://${desk.ip}:1` },
    7,
    /does not answer: .*ECONNREFUSED.*\n.*WEAVE_ENGINE_UNREACHABLE/,
  );
  await refused({ DOCKER_HOST: 'the engine' }, 2, /names no engine\n.*WEAVE_INVALID_OPTION/);
  await refused({}, 6, /no permission for the Docker engine at unix:.*\n.*WEAVE_PERMISSION_DENIED/, host);
  const old = createHttpServer((_request, reply) => reply.end('{"Version":"17.06.2","ApiVersion":"1.30"}'));
  const ancient = await through(old, '/run/ancient.sock');
  await refused(ancient.env, 7, /is 17\.06\.2, which speaks API 1\.30; 1\.41 is needed\n.*WEAVE_ENGINE_TOO_OLD/, host);
  const cut = await through(cutAfter(20_000_000), '/run/cut.sock');
  for (const command of ['setup', 'launch'])
    t.match(await as(['weave', command], cut.env, host), {
      code: 7,
      stdout: '',
      stderr: /^weave: the image could not be loaded: .*\n.*WEAVE_IMAGE_FAILED\)\n$/,
    });
  t.equal((await images()) + (await containers()), '', 'neither image nor container');
  t.equal(
    (await host.exec('ls -A /run/weave /var/lib/weave 2>/dev/null || true')).stdout.replace(/^.*:$/gm, '').trim(),
    '',
  );
});

test('launch, attach, ps, status', async (t) => {
  const { code, stdout, stderr } = await weave('launch');
  t.equal(code, 0);
  t.match(stderr, /^No password is set: .*\n$/);
  t.match(stdout, /^[0-9a-f]{64}\n$/);
  t.match(await weave('launch'), { code: 3, stderr: /already running/ });
  t.match(await weave('status'), { code: 0, stdout: new RegExp(`Name: [0-9a-f]{32}\\(${host.name}\\)`), stderr: '' });
  t.match(await weave('version'), { code: 0, stdout: /^weave script (\S+)\nweave \1\n$/, stderr: '' });
  for (const name of ['n1', 'n2'])
    await as(['docker', 'run', '-d', '--name', name, '--net', 'none', 'busybox', 'sleep', '99']);
  t.match(await weave('attach', '10.2.1.1/24', 'n1'), { code: 0, stdout: '10.2.1.1\n', stderr: '' });
  t.match(await weave('attach', 'n2', '10.2.1.2/24', '--json'), { code: 0, stdout: /"10\.2\.1\.2\/24"/ });
  t.match(await as(['docker', 'exec', 'n1', 'ping', '-c1', '-W2', '10.2.1.2']), { code: 0 });
  t.match(await weave('ps', 'n1'), { stdout: /^n1 ([0-9a-f]{2}:){5}[0-9a-f]{2} 10\.2\.1\.1\/24\n$/ });
  t.match(await weave('check'), { code: 0, stdout: /agree/ });
  t.match(await weave('attach', 'nosuch'), {
    code: 3,
    stdout: '',
    stderr: /no container nosuch.*WEAVE_CONTAINER_NOT_FOUND/s,
  });
  t.match(await weave('attach', '10.2.1.1', 'n1'), { code: 2, stderr: /WEAVE_INVALID_ADDRESS/ });
  const many = await Promise.all(Array.from({ length: 5 }, (_, i) => weave('network', 'create', `many${i}`)));
  t.strictSame(
    many.map(({ code }) => code),
    [0, 0, 0, 0, 0],
    'several at once',
  );
  t.match(await weave('network', 'ls'), { stdout: /many4/ });
});

test('run: in the foreground, with its streams and its exit code', async (t) => {
  const shown = await weave(
    'run',
    '10.2.1.3/24',
    '--rm',
    'busybox',
    'sh',
    '-c',
    'ip -4 addr show ethwe; echo no >&2; exit 9',
  );
  t.match(shown, { code: 9, stdout: /inet 10\.2\.1\.3\/24/, stderr: /^no$/m });
  const { code, stdout } = await weave('run', '10.2.1.4/24', '-d', '--name', 'n4', 'busybox', 'sleep', '99');
  t.match({ code, stdout }, { code: 0, stdout: /^[0-9a-f]{64}\n$/ });
  t.match(await as(['docker', 'exec', 'n1', 'ping', '-c1', '-W2', '10.2.1.4']), { code: 0 });
  t.match(await weave('run', '10.2.1/24', '--name', 'n5', 'busybox'), {
    code: 2,
    stdout: '',
    stderr: /WEAVE_INVALID_ADDRESS/,
  });
  t.notMatch(await host.docker('ps', '-a', '--format', '{{.Names}}'), /n5/);
});

test('over ssh, and on its own host by a member of the engine’s group', async (t) => {
  const ssh = { ...remote, DOCKER_HOST: `ssh://me@${host.name}`, PATH: `${HOME}/bin:${PATH}` };
  t.match(await as(['weave', 'ps', 'n2'], ssh), { code: 0, stdout: /10\.2\.1\.2\/24/, stderr: '' });
  await host.exec(['chmod', '666', '/run/docker.sock']);
  t.match(await as(['weave', 'ps', 'n2'], {}, host), { code: 0, stdout: /10\.2\.1\.2\/24/, stderr: '' });
  t.match(await as(['weave', '--local', 'ps'], {}, host), {
    code: 6,
    stderr: /no permission for \/run\/weave\/weave\.sock/,
  });
  t.match(await host.weave('ps', 'n2'), /10\.2\.1\.2\/24/, 'root asks the daemon itself');
});

test('stop, and reset', async (t) => {
  t.match(await weave('stop'), { code: 0, stdout: '', stderr: '' });
  t.match(await weave('status'), { code: 7, stderr: /^weave: weave container is not running\.\n/ });
  t.match(await as(['docker', 'exec', 'n1', 'ping', '-c1', '-W2', '10.2.1.2']), { code: 0 });
  t.match(await weave('reset'), { code: 1, stderr: /unable to remove from cluster/ });
  t.match(await weave('reset', '--force'), { code: 0, stdout: '', stderr: '' }, 'by a container that runs once');
  t.match((await host.exec('nsenter --net=/run/weave/netns true 2>&1 || true')).stdout, /No such file/);
  await weave('launch');
  t.match(await weave('reset', '--images'), { code: 0, stdout: '', stderr: '' });
  t.equal((await images()) + (await containers()), '');
});
