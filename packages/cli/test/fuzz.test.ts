import { type Test, test } from 'tap';
import {
  ADDRESSES,
  BRIDGES,
  CHARACTERS,
  CONTAINERS,
  DOCKER_WORDS,
  GATEWAYS,
  NAMES,
  NETWORKS,
  OPTIONS,
  PLAIN_ADDRESSES,
  RUN_MISTAKES,
  SUBNETS,
  TEMPLATES,
} from './fuzz-words.ts';
import { createLiveRig } from './live-rig.ts';
import { createRig, type Result, type Rig, TRACE } from './rig.ts';

const SEED = Number(process.env.WEAVE_FUZZ_SEED ?? 1);
const LINES = Number(process.env.WEAVE_FUZZ_LINES ?? 500);
/** Of the lines that are refused, every so many is tried as a process of its own too. */
const AS_PROCESS = 40;
const DEADLINE_MS = LINES * 500;

type Fuzzed = Pick<Rig, 'runDir' | 'run' | 'spawn' | 'state'>;

/** Mulberry32: the same lines for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

let random = randomOf(SEED);
const below = (n: number) => Math.floor(random() * n);
const chance = (of: number) => random() < of;
const one = <T>(list: readonly T[]): T => list[below(list.length)]!;
const several = <T>(most: number, make: () => T): T[] => Array.from({ length: below(most + 1) }, make);

/** Now and then with a mistake in it. */
function mistaken(word: string): string {
  if (!chance(0.12)) return word;
  const at = below(word.length + 1);
  return word.slice(0, at) + one(CHARACTERS) + word.slice(at + below(2));
}

const option = (name: string, values: readonly string[]) =>
  chance(0.1) ? [`${name}=${mistaken(one(values))}`] : [name, ...(chance(0.97) ? [mistaken(one(values))] : [])];

const makers: Record<string, () => string[]> = {
  attach: () => words(),
  detach: () => words(),
  expose: () => [...onNetwork(), ...named(), ...(chance(0.2) ? ['--without-masquerade'] : []), ...addresses()],
  hide: () => [...onNetwork(), ...addresses()],
  'attach-bridge': () => [
    ...onNetwork(),
    ...(chance(0.3) ? ['--remove'] : []),
    ...several(1, () => mistaken(one(BRIDGES))),
  ],
  'dns-add': () => [...several(2, () => mistaken(one(PLAIN_ADDRESSES))), ...containers(), ...named()],
  'dns-remove': () => [...named(), ...containers(), ...several(2, () => mistaken(one(PLAIN_ADDRESSES)))],
  'dns-lookup': () => several(1, () => mistaken(one(NAMES))),
  'dns-args': () => several(4, () => mistaken(one(DOCKER_WORDS))),
  'network create': () => [
    ...several(2, () => option('--subnet', SUBNETS)).flat(),
    ...(chance(0.3) ? option('--gateway', GATEWAYS) : []),
    ...(chance(0.2) ? option('--ip-range', SUBNETS) : []),
    ...(chance(0.3) ? option(one(['-o', '--opt']), OPTIONS) : []),
    ...(chance(0.2) ? ['--internal'] : []),
    ...(chance(0.95) ? [mistaken(one(NETWORKS))] : []),
  ],
  'network ls': () => several(1, () => one(NETWORKS)),
  'network inspect': () => several(2, () => mistaken(one(NETWORKS))),
  'network rm': () => several(3, () => mistaken(one(NETWORKS))),
  network: () => several(2, () => one(NETWORKS)),
  ps: () => [...onNetwork(), ...several(2, () => mistaken(one(CONTAINERS)))],
  status: () => several(1, () => one([...NETWORKS, 'peers', 'ipam', 'connections', 'targets'])),
  version: () => [],
  report: () => (chance(0.8) ? option(one(['-f', '--format']), TEMPLATES) : []),
  completion: () => several(2, () => one(['bash', 'zsh', 'fish', 'sh'])),
  words: () => ['--', ...several(3, () => mistaken(one(['network', 'rm', '--network', '', 'b', 'attach', '--'])))],
  forget: () => several(2, () => mistaken(one(['host1', '10.2.2.1', '[fd00::1]:6783', ':', 'x:y']))),
  rmpeer: () => several(2, () => mistaken(one(['host1', '0', 'x'.repeat(300)]))),
  help: () => several(2, () => one(['network', 'ps', 'create', 'bogus'])),
  '': () => [mistaken(one(['attach', '--help', '--version', 'bogus', '--', '-', '']))],
};

const addresses = () => several(3, () => mistaken(one(ADDRESSES)));
const containers = () => several(1, () => mistaken(one(CONTAINERS)));
const onNetwork = () => (chance(0.3) ? option('--network', NETWORKS) : []);
const named = () => (chance(0.6) ? option(one(['-h', '--hostname']), NAMES) : []);

function words(): string[] {
  const list = [...addresses(), ...(chance(0.95) ? [mistaken(one(CONTAINERS))] : [])];
  if (chance(0.2)) list.reverse();
  return [...onNetwork(), ...list];
}

/** These run docker once their words are right, and so always come with a mistake. */
const DOCKER: Record<string, () => string[]> = {
  run: () => [
    ...several(2, () => one(['10.2.1.1/24', 'net:default', '--without-dns', '--no-rewrite-hosts'])),
    ...one(RUN_MISTAKES),
    ...several(3, () => one(DOCKER_WORDS)),
    'busybox',
  ],
  start: () => [...addresses(), one(['pid:1', '/run/netns/bare', '10.2.1.1'])],
  restart: () => one([[], ['c1', 'c2'], ['c1', '10.2.1.1/24']]),
};

/** These would end or start a daemon: they come with a mistake that the parser finds first. */
const DANGEROUS = ['launch --local', 'daemon', 'stop', 'reset'];

interface Line {
  args: string[];
  /** Parsed as an option: not the value of another, nor after `--`. */
  json: boolean;
}

function line(runDir: string): Line {
  const json = chance(0.3);
  const common = [
    ...(json ? ['--json'] : []),
    ...(chance(0.05) ? [one(['--help', '-z', '--no-such', '--json=1', '--'])] : []),
  ];
  if (chance(0.05))
    return { args: [...one(DANGEROUS).split(' '), one(['--no-such', '-z', 'surplus']), ...common], json: false };
  if (chance(0.05)) {
    const command = one(Object.keys(DOCKER));
    return { args: [command, ...(json ? ['--json'] : []), ...DOCKER[command]!()], json: false };
  }
  const command = one(Object.keys(makers));
  const args = [...command.split(' ').filter(Boolean), ...common, ...makers[command]!()];
  if (chance(0.03)) args.push('--run-dir', `${runDir}/${one(['nowhere', '', 'x'.repeat(120), 'daemon'])}`);
  return { args, json: json && command !== 'network' && !common.includes('--') };
}

function complaints({ args, json }: Line, { code, stdout, stderr }: Result, changed: boolean): string[] {
  const found: string[] = [];
  const expect = (holds: boolean, what: string) => holds || found.push(what);
  const partly = args[1] === 'rm' && stdout !== '';
  const help = args.some((word) => ['--help', '-h', 'help'].includes(word));
  expect(!TRACE.test(stdout + stderr), 'a stack trace');
  expect([0, 1, 2, 3, 4, 5, 7].includes(code), 'an exit code that no mistake has');
  expect((code === 0) === (stderr === ''), 'exit code and standard error disagree');
  if (code !== 0 && !partly) {
    expect(!changed, 'refused, and yet something changed');
    expect(stdout === '', 'refused, and yet something on standard output');
  }
  if (code === 1) expect(/^(error: |Usage: )/.test(stderr) && stderr.includes('Usage: weave'), 'no usage');
  if (code > 1 && args.includes('--json')) expect(isJson(stderr), 'the error is not JSON');
  if (code === 0 && json && !help) expect(isJson(stdout), 'the answer is not JSON');
  return found;
}

function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object';
  } catch {
    return false;
  }
}

async function fuzz(t: Test, rig: Fuzzed): Promise<void> {
  random = randomOf(SEED);
  const begun = Date.now();
  const codes = new Map<number, number>();
  const wrong: object[] = [];
  let state = await rig.state();
  let refused = 0;
  let tried = 0;
  for (; tried < LINES && Date.now() - begun < DEADLINE_MS; tried++) {
    const made = line(rig.runDir);
    const result = await rig.run(...made.args);
    const after = await rig.state();
    codes.set(result.code, (codes.get(result.code) ?? 0) + 1);
    const found = complaints(made, result, after !== state);
    if (found.length > 0) wrong.push({ number: tried, args: made.args, found, ...result });
    state = after;
    if (result.code === 0 || DANGEROUS.some((name) => name.startsWith(made.args[0]!))) continue;
    if (refused++ % AS_PROCESS !== 0) continue;
    t.same(await rig.spawn(...made.args), result, `as a process: ${JSON.stringify(made.args)}`);
  }
  t.same(wrong, [], `to see it again: WEAVE_FUZZ_SEED=${SEED}`);
  t.equal(tried, LINES, 'in time');
  t.ok((codes.get(0) ?? 0) > LINES / 10, 'not all of them are mistakes', { codes: Object.fromEntries(codes) });
  for (const code of [1, 2, 3, 4]) t.ok(codes.has(code), `some end with ${code}`, { codes: Object.fromEntries(codes) });
}

test(`${LINES} lines of seed ${SEED}`, async (t) => {
  await using rig = await createRig({ domain: 'weave.local' });
  for (const n of [1, 2, 3, 4]) rig.addContainer(n);
  rig.datapath.addNamespace('/run/netns/bare');
  await fuzz(t, rig);
});

test(`${LINES} lines of seed ${SEED} for a daemon with a kernel`, async (t) => {
  await using rig = await createLiveRig(['bare', 'c1', 'c2', 'c3', 'c4']);
  await fuzz(t, {
    ...rig,
    run: (...args) => rig.run(...args.map(inNamespace)),
    spawn: (...args) => rig.spawn(...args.map(inNamespace)),
  });
});

/** No engine runs there: what would be a container is a namespace. */
const inNamespace = (word: string) => (/^c[1-4]$/.test(word) ? `/run/netns/${word}` : word);
