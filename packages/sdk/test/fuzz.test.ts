import tap, { test } from 'tap';
import { CATALOGUE, FACES } from '../src/index.ts';
import { VERBS, type VerbName } from '../src/wire.ts';
import { ask } from './ask.ts';
import { createRig } from './rig.ts';

const SEED = Number(process.env.WEAVE_FUZZ_SEED ?? 1);
const BODIES = Number(process.env.WEAVE_FUZZ_BODIES ?? 500);

/** Mulberry32: the same bodies for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = randomOf(SEED);
const below = (n: number) => Math.floor(random() * n);
const one = <T>(list: readonly T[]): T => list[below(list.length)]!;

const rig = await createRig({ domain: 'weave.local' });
tap.teardown(() => rig[Symbol.asyncDispose]());
const ID = { network: 'a'.repeat(64), endpoint: 'b'.repeat(64) };
const { id: container } = rig.run('web');
await rig.here.networks.create({ name: 'blue', subnets: [{ cidr: '10.3.0.0/24' }, { cidr: 'fd00:3::/64' }] });
await rig.here.attach({ container: 'web' });
const { id: pool } = await rig.here.pools.request({ family: 4, cidr: '10.50.0.0/24' });
const options = { 'works.weave.gateway': 'weave' };
const subnets = [{ cidr: '10.50.0.0/24', gateway: '10.50.0.1', ours: true }];
const adopted = { id: ID.network, name: 'red', subnets, options, internal: false };
await rig.here.networks.adopt(adopted);
const endpoint = { id: ID.endpoint, network: ID.network, addresses: ['10.50.0.2/24'], mac: '02:00:00:00:00:01' };
await rig.here.endpoints.create(endpoint);
await rig.here.endpoints.attach(ID.endpoint, '/sandbox');

const view = {
  networks: [
    {
      ...adopted,
      range: {},
      reserved: ['10.50.0.1'],
      endpoints: [{ ...endpoint, container: { id: container, name: 'x' }, sandbox: '/s' }],
    },
  ],
  containers: [{ id: container, name: 'web', pid: 50_000_001 }],
  gone: [],
  before: [ID.network, ID.endpoint],
};

/** What each verb may well be given. */
const SENSIBLE: Record<VerbName, object> = {
  'networks.create': {
    name: 'n',
    subnets: [{ cidr: '10.4.0.0/24', gateway: '10.4.0.1', range: '10.4.0.0/25' }],
    options,
    internal: false,
  },
  'networks.list': {},
  'networks.inspect': { network: 'blue' },
  'networks.grow': { network: 'blue', subnet: '10.9.0.0/23' },
  'networks.remove': { network: 'blue' },
  'networks.adopt': { ...adopted, id: 'c'.repeat(64) },
  'networks.forget': { id: 'd'.repeat(64) },
  'pools.request': { family: 4, cidr: '10.5.0.0/24', range: '10.5.0.0/25' },
  'pools.release': { pool: 'weave:10.9.0.0/24' },
  'pools.requestAddress': { pool, address: '10.50.0.9' },
  'pools.releaseAddress': { pool, address: '10.50.0.9' },
  'pools.grants': {},
  'endpoints.create': { ...endpoint, id: 'e'.repeat(64), addresses: ['10.50.0.3/24'] },
  'endpoints.attach': { id: ID.endpoint, sandbox: '/sandbox' },
  'endpoints.detach': { id: 'f'.repeat(64) },
  'endpoints.remove': { id: 'f'.repeat(64) },
  'endpoints.list': { network: 'red' },
  'endpoints.publish': {
    id: ID.endpoint,
    ports: [{ protocol: 'sctp', hostAddress: '127.0.0.1', hostPort: 8080, port: 80 }],
  },
  attach: {
    target: { container: 'web' },
    addresses: ['10.2.1.1/24', 'net:default'],
    network: 'weave',
    multicast: false,
    rewriteHosts: true,
    addHosts: ['db:10.2.1.9'],
  },
  detach: { target: { container: 'web' }, addresses: ['10.2.1.1/24'], network: 'weave' },
  expose: { addresses: ['10.2.1.1/24', 'net:default'], network: 'weave', masquerade: true },
  hide: { addresses: ['10.2.1.1/24'], network: 'weave' },
  'bridges.attach': { bridge: 'docker0', network: 'weave' },
  'bridges.detach': { bridge: 'docker0', network: 'weave' },
  'names.add': { addresses: ['10.2.1.1'], container: 'web', name: 'www' },
  'names.remove': { addresses: ['10.2.1.1'], name: 'www' },
  'names.list': { of: ID.endpoint },
  'names.lookup': { name: 'www' },
  check: { fix: false },
  'engine.report': view,
  'engine.compare': view,
  'engine.started': {
    ...{ id: container, name: 'web', pid: 50_000_001, endpoints: [ID.endpoint], hostname: 'web.weave.local' },
    ...{ aliases: { [ID.endpoint]: ['www'] }, services: [{ protocol: 'tcp', port: 80 }] },
  },
  'engine.ended': { container: 'f'.repeat(64) },
  'engine.named': { network: ID.network, name: 'green' },
  'engine.removed': { container: 'f'.repeat(64) },
  'cluster.peers': {},
  'cluster.pools': {},
  overview: {},
  'cluster.remove': { peer: 'h2' },
  'cluster.connect': { peers: ['h2'], replace: false },
  'cluster.forget': { peers: ['h2'] },
  'cluster.targets': {},
  'cluster.connections': {},
  'cluster.prime': {},
  'cluster.rebuild': {},
  status: {},
  reset: {},
};

const STRINGS = [
  ...[
    '',
    ' ',
    '\0',
    '-',
    '..',
    '/',
    '🕸️',
    '\ud83d',
    'x'.repeat(70_000),
    '0'.repeat(64),
    'constructor',
    '__proto__',
    'weave',
    'red',
    'nosuch',
  ],
  ...[
    '10.3.0.9/24',
    '10.3.0.0/24',
    '10.3.0.255/24',
    '0.0.0.0/0',
    '255.255.255.255/32',
    '10.50.0.0/24',
    '10.50.0.1',
    '10.50.0.256',
    '010.1.1.1/8',
    '10.3/24',
  ],
  ...[
    '::/0',
    '::',
    'fd00::/128',
    'fd00::1',
    'fe80::1/64',
    '::ffff:10.3.0.9/120',
    'fd00::g/64',
    '/',
    '/24',
    'net:',
    'net:default',
    'net:10.3.0.0/30',
    'ip:',
  ],
  ...[
    '02:00:00:00:00:01',
    'ff:ff:ff:ff:ff:ff',
    '02-00-00-00-00-01',
    '1280',
    '1e4',
    'true',
    'engine',
    '127.0.0.1; flush ruleset',
  ],
];
const NUMBERS = [0, -0, -1, 1, 4, 6, 80, 65_535, 65_536, 2 ** 31, 2 ** 53, 1.5, 1e308];
const KEYS = [
  'id',
  'name',
  'network',
  'target',
  'addresses',
  'pid',
  'netns',
  'container',
  'options',
  'mtu',
  '__proto__',
  'constructor',
  'x',
];

/** Any JSON there is. */
function anything(depth = 0): unknown {
  const kinds = depth < 3 ? 7 : 4;
  switch (below(kinds)) {
    case 0:
      return null;
    case 1:
      return random() < 0.5;
    case 2:
      return one(NUMBERS);
    case 3:
      return one(STRINGS);
    case 4:
      return Array.from({ length: below(4) }, () => anything(depth + 1));
    default:
      return Object.fromEntries(Array.from({ length: below(4) }, () => [one(KEYS), anything(depth + 1)]));
  }
}

/** With something in it, however deep, exchanged, added or taken away. */
function spoilt(value: unknown): unknown {
  if (random() < 0.2 || typeof value !== 'object' || value === null) return anything(2);
  if (Array.isArray(value)) {
    const at = below(value.length + 1);
    return at === value.length ? [...value, anything(2)] : value.toSpliced(at, 1, spoilt(value[at]));
  }
  const entries = Object.entries(value);
  const at = below(entries.length + 1);
  if (at === entries.length) return { ...value, [one(KEYS)]: anything(2) };
  if (random() < 0.2) return Object.fromEntries(entries.toSpliced(at, 1));
  return Object.fromEntries(entries.with(at, [entries[at]![0], spoilt(entries[at]![1])]));
}

const verbs = Object.keys(VERBS) as VerbName[];

test(`any JSON there is, ${BODIES} times, seed ${SEED}`, async (t) => {
  const seen = { answered: 0, refused: 0 };
  for (let i = 0; i < BODIES; i++) {
    const verb = verbs[i % verbs.length]!;
    const body = i % 3 === 0 ? anything() : spoilt(SENSIBLE[verb]);
    // The one verb that would end the test has nothing that could be spoilt.
    if (verb === 'reset' && JSON.stringify(body) === '{}') continue;
    const before = rig.state();
    const { status, text } = await ask(rig.socket, `/v1/${verb}`, JSON.stringify(body));
    const wrong =
      fault(status, text) ?? (status !== 200 && rig.state() !== before ? 'refused, but something changed' : undefined);
    if (wrong) t.fail(`${verb} ${JSON.stringify(body).slice(0, 500)}: ${wrong}: ${text.slice(0, 500)}`);
    seen[status === 200 ? 'answered' : 'refused']++;
  }
  t.comment(seen);
  t.ok(seen.refused > BODIES / 2 && seen.answered > 0, 'both were seen');
  t.match(await rig.here.status(), { version: /\d/ }, 'it is still there');
  await using after = await rig.restart();
  t.strictSame((await after.here.status()).notices, [], 'and what is stored can be started from');
});

/** What is wrong with an answer, whatever was asked. */
function fault(status: number, text: string): string | undefined {
  const { result, error } = JSON.parse(text) as { result?: unknown; error?: Record<string, string> };
  if (status === 200) return error || result === undefined ? 'neither a result' : undefined;
  if (!error) return 'no error';
  const { code = '', kind = '', message, hint } = error;
  if (Object.keys(error).sort().join() !== 'code,hint,kind,message') return 'another shape';
  if (!(code in CATALOGUE) || kind === 'bug') return 'a bug';
  if (FACES[kind as keyof typeof FACES]?.http !== status) return 'another status than its kind has';
  return !message || !hint || /\n\s*at /.test(text) ? 'not for people' : undefined;
}
