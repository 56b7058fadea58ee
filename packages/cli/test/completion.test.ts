import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import tap, { test } from 'tap';
import { createRig } from './rig.ts';

const rig = await createRig();
tap.teardown(() => rig[Symbol.asyncDispose]());

const words = async (...typed: string[]) => {
  const { code, stdout, stderr } = await rig.run('words', '--', ...typed);
  if (code !== 0) throw new Error(stderr);
  return stdout.split('\n').filter(Boolean);
};

test('what a word may become', async (t) => {
  await rig.weave.networks.create({ name: 'blue' });
  const all = await words('');
  for (const name of ['launch', 'status', 'ps', 'help', 'completion']) t.ok(all.includes(name), name);
  for (const name of ['words', 'launch-router']) t.notOk(all.includes(name), `${name} is not for people`);
  t.notOk(
    all.some((word) => word.startsWith('-')),
    'options only when one is begun',
  );
  t.same(await words('st'), ['stop', 'status', 'start']);
  t.same(await words('--js'), ['--json']);
  t.same(await words('status', ''), ['targets', 'connections', 'peers', 'dns', 'ipam']);
  t.same(await words('status', 'p'), ['peers']);
  t.same(await words('--json', 'status', 'p'), ['peers'], 'after an option');
  t.same(await words('--run-dir', 'status', 'stat'), ['status'], 'and after its value, whatever that is');
  t.same(await words('launch', '--log-level', 'w'), ['warning']);
  t.same(await words('launch', '--log-level', 'info', '--stat'), ['--state-dir', '--status-addr']);
  t.same(await words('network', 'in'), ['inspect']);
  t.same(await words('network', 'inspect', ''), ['blue', 'weave'], 'networks that there are');
  t.same(await words('attach', '--network', 'b'), ['blue']);
  t.same(await words('network', 'create', '-o', ''), []);
  t.same(
    await words('--run-dir', '/nowhere', 'network', 'rm', ''),
    ['blue', 'weave'],
    'asked of the daemon of the caller',
  );
  t.same(await words('nosuch', 'x', 'nosuch'), []);
  const { code, stdout } = await rig.run('words', '--run-dir', '/nowhere', '--', 'network', 'inspect', '');
  t.same([code, stdout], [0, ''], 'without a daemon there is nothing to say');
});

test('containers that run', async (t) => {
  const bin = join(rig.runDir, 'bin');
  mkdirSync(bin);
  const path = process.env.PATH;
  process.env.PATH = `${bin}:${path}`;
  t.teardown(() => (process.env.PATH = path));
  const docker = join(bin, 'docker');
  writeFileSync(docker, '#!/bin/sh\n[ "$*" = "ps --format {{.Names}}" ] && printf "web\\ndb\\n"\n');
  chmodSync(docker, 0o755);
  t.same(await words('attach', ''), ['db', 'web']);
  t.same(await words('attach', '10.2.1.1/24', 'w'), ['web']);
  t.same(await words('ps', 'd'), ['db']);
  writeFileSync(docker, '#!/bin/sh\nexit 1\n');
  t.same(await words('attach', ''), []);
});

/** In each shell as people have it: the script is read, and the words are those that the shell is offered. */
const SHELLS: Record<string, { argv: (script: string) => string[] }> = {
  bash: {
    argv: (script) => [
      'bash',
      '--norc',
      '-c',
      `${script}\nCOMP_WORDS=(weave status p); COMP_CWORD=2; _weave; echo "$COMPREPLY"`,
    ],
  },
  zsh: {
    argv: (script) => [
      'zsh',
      '-f',
      '-c',
      `compdef() { }; compadd() { shift; print -l \${(P)2:-\${(P)1}} }\n${script}\nwords=(weave status p); CURRENT=3; _weave`,
    ],
  },
  fish: { argv: (script) => ['fish', '--no-config', '-c', `${script}\ncomplete -C 'weave status p'`] },
};

for (const [shell, { argv }] of Object.entries(SHELLS))
  test(`in ${shell}`, async (t) => {
    const bin = join(rig.runDir, `bin-${shell}`);
    mkdirSync(bin);
    const source = join(import.meta.dirname, '../src/weave.ts');
    writeFileSync(
      join(bin, 'weave'),
      `#!/bin/sh\nexec ${process.execPath} --conditions=@weave/source ${source} "$@"\n`,
    );
    chmodSync(join(bin, 'weave'), 0o755);
    const { stdout: script } = await rig.run('completion', shell);
    const [program, ...args] = argv(script);
    const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, HOME: rig.runDir };
    const { stdout } = await promisify(execFile)(program!, args, { env, timeout: 30_000 });
    t.equal(stdout.trim(), 'peers');
  });
