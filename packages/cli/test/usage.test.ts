import { join } from 'node:path';
import type { Command } from 'commander';
import tap, { test } from 'tap';
import { buildProgram } from '../src/program.ts';
import { createRig } from './rig.ts';
import { sayingOf } from './said.ts';

const rig = await createRig();
tap.teardown(() => rig[Symbol.asyncDispose]());
const { refused } = sayingOf(rig);

/** Every command with the words that name it. */
function* commands(command: Command = buildProgram(), path: string[] = []): Generator<[string[], Command]> {
  yield [path, command];
  for (const each of command.commands) yield* commands(each, [...path, each.name()]);
}

test('the help of every command has an example', async (t) => {
  for (const [path] of commands()) {
    const { code, stdout, stderr } = await rig.run(...path, '--help');
    const name = ['weave', ...path].join(' ');
    t.match({ code, stderr }, { code: 0, stderr: /^$/ }, name);
    t.match(stdout, new RegExp(`^Usage: ${name} `), 'usage');
    t.match(stdout, new RegExp(`\\nExamples:\\n.*${name} ?`, 's'), 'an example of it');
    for (const line of stdout.split('\n')) t.ok(line.length <= 120, `no line of ${name} is too long`, { line });
  }
  const { stdout } = await rig.run('--help');
  for (const [path] of commands()) if (path.length === 1) t.match(stdout, new RegExp(`^  ${path[0]} `, 'm'));
});

test('every example is one that can be parsed', async (t) => {
  for (const [path] of commands()) {
    const { stdout } = await rig.run(...path, '--help');
    const [, below = ''] = stdout.split('Examples:\n');
    for (const line of below.split('\n').filter((each) => /^ {2}weave /.test(each))) {
      const words = shellWords(line.trim().split(/ {2,}|>/)[0]!).slice(1);
      const program = buildProgram();
      for (const [, command] of commands(program)) command.exitOverride().action(() => undefined);
      await t.resolves(program.parseAsync(words, { from: 'user' }), line.trim());
    }
  }
});

const shellWords = (line: string) => (line.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^'(.*)'$/, '$1'));

test('mistakes are answered with the usage', async (t) => {
  const cases: [string[], RegExp, string][] = [
    [['bogus'], /unknown command 'bogus'/, 'weave'],
    [['--bogus'], /unknown option '--bogus'/, 'weave'],
    [['statsu'], /unknown command 'statsu'\n\(Did you mean status\?\)/, 'weave'],
    [['network', 'bogus'], /unknown command 'bogus'/, 'weave network'],
    [['network', '--bogus'], /unknown option '--bogus'/, 'weave network'],
    [['network', 'create'], /missing required argument 'name'/, 'weave network create'],
    [['network', 'create', 'a', 'b'], /too many arguments/, 'weave network create'],
    [['network', 'rm'], /missing required argument 'network'/, 'weave network rm'],
    [['ps', '--network'], /argument missing/, 'weave ps'],
    [['ps', '--network', ''], /It is empty/, 'weave ps'],
    [['attach', '--network', '', 'c1'], /It is empty/, 'weave attach'],
    [['attach'], /missing required argument/, 'weave attach'],
    [['detach'], /missing required argument/, 'weave detach'],
    [['launch', '--local', '--log-level', 'loud'], /Allowed choices are debug, info, warning, error/, 'weave launch'],
    [['launch', '--local', '--nameserver', 'ns1'], /not an IP address/, 'weave launch'],
    [['daemon', '--nameserver', '10.0.0.300'], /not an IP address/, 'weave daemon'],
    [['reset', 'all'], /too many arguments/, 'weave reset'],
    [['stop', '--force'], /unknown option '--force'/, 'weave stop'],
    [['status', 'x'], /Allowed choices are targets,\s+connections/, 'weave status'],
    [['version', '--run-dir'], /argument missing/, 'weave version'],
  ];
  const paths = [...commands()].map(([path]) => path).filter((path) => path.length > 0);
  // What these do not know is for docker run.
  for (const every of paths.filter(([word]) => word !== 'dns-args' && word !== 'run'))
    cases.push([[...every, '--no-such-option'], /unknown option/, `weave ${every.join(' ')}`]);
  for (const [args, error, usage] of cases) {
    const { stderr } = await refused(t, args, 1, error);
    t.match(stderr, `\nUsage: ${usage} `);
  }
  for (const group of [[], ['network']]) {
    const { code, stdout, stderr } = await rig.run(...group);
    t.match({ code, stdout }, { code: 1, stdout: /^$/ }, 'a command of commands alone is a mistake too');
    t.match(stderr, /^Usage: weave.*\nExamples:/s);
  }
  const json = await rig.run('network', 'create', '--json');
  t.match(json, { code: 1, stderr: /missing required argument/ });
});

test('no daemon', async (t) => {
  const nowhere = ['--run-dir', join(rig.runDir, 'nowhere')];
  const leaves = [...commands()].filter(([path, command]) => path.length > 0 && command.commands.length === 0);
  const words: Record<string, string[]> = {
    attach: ['c1'],
    detach: ['c1'],
    create: ['n'],
    inspect: ['n'],
    grow: ['n', '10.9.0.0/23'],
    rm: ['n'],
    rmpeer: ['h'],
    connect: ['h'],
    forget: ['h'],
    'dns-add': ['c1'],
    'dns-remove': ['c1'],
    'dns-lookup': ['c1'],
    run: ['busybox'],
    start: ['c1'],
    restart: ['c1'],
  };
  // These start one, are one, or do without one.
  const own = ['setup', 'launch', 'daemon', 'reset', 'stop', 'version', 'env', 'config', 'completion'];
  for (const [path] of leaves.filter(([path]) => !own.includes(path[0]!)))
    await refused(t, [...path, ...nowhere, ...(words[path.at(-1)!] ?? [])], 7, /no weave daemon answers on .*nowhere/);
  t.same(await rig.run('stop', ...nowhere), { code: 0, stdout: 'weave is not running\n', stderr: '' });
  t.same(JSON.parse((await rig.run('stop', '--json', ...nowhere)).stdout), { stopped: null });
  t.match(await rig.run('version', ...nowhere), { code: 0, stdout: /^weave script \d+\.\d+\.\d+\n$/ });
});
