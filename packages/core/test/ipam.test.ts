import {
  adoptNetwork,
  bridgeName,
  type Change,
  cidr,
  createEndpoint,
  createNetwork,
  DEFAULT_SUBNETS,
  deleteEndpoint,
  desiredFirewall,
  forgetNetwork,
  formatAddress,
  gatewayName,
  hostBounds,
  isWeaveError,
  joinEndpoint,
  leaveEndpoint,
  type NetworkSpec,
  nameEndpoint,
  nameNetwork,
  networkAlias,
  networkOfAlias,
  opensShard,
  overlaps,
  type PoolRequest,
  publishPorts,
  releaseAddress,
  releasePool,
  removeNetwork,
  requestAddress,
  requestPool,
  State,
} from '@weave/core';
import fc from 'fast-check';
import t from 'tap';
import { digest, SELF } from './world.ts';

const MINUTE = 60_000;

function start(): State {
  return new State(SELF);
}

/** Applies what was decided; answers what came with it. */
function take<R extends { changes: Change[] }>(state: State, decided: R): R {
  state.apply(decided.changes);
  return decided;
}

const pool = (state: State, text: string, rest: Partial<PoolRequest> = {}) =>
  take(state, requestPool(state, { family: text.includes(':') ? 6 : 4, cidr: text, now: 0, ...rest })).pool;

const network = (state: State, spec: NetworkSpec) => take(state, createNetwork(state, spec, { now: 0 })).network;

const lease = (state: State, id: string, wanted?: string) => take(state, requestAddress(state, id, wanted)).cidr;

/** The code of what it throws. */
function refusal(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (!isWeaveError(error)) throw error;
    return error.code;
  }
}

const hex = (n: number) => n.toString(16).padStart(64, '0');

t.test('a pool hands out the lowest free address', async (t) => {
  const table: { name: string; cidr: string; range?: string; take?: string[]; gives: (string | 'none')[] }[] = [
    { name: 'in order', cidr: '10.0.0.0/24', gives: ['10.0.0.1/24', '10.0.0.2/24', '10.0.0.3/24'] },
    {
      name: 'around what is taken',
      cidr: '10.0.0.0/24',
      take: ['10.0.0.1', '10.0.0.3'],
      gives: ['10.0.0.2/24', '10.0.0.4/24'],
    },
    { name: 'until there is none', cidr: '10.0.0.0/30', gives: ['10.0.0.1/30', '10.0.0.2/30', 'none'] },
    { name: 'both of a /31', cidr: '10.0.0.0/31', gives: ['10.0.0.0/31', '10.0.0.1/31', 'none'] },
    { name: 'the one of a /32', cidr: '10.0.0.9/32', gives: ['10.0.0.9/32', 'none'] },
    {
      name: 'never the subnet-router anycast',
      cidr: 'fd00::/126',
      gives: ['fd00::1/126', 'fd00::2/126', 'fd00::3/126', 'none'],
    },
    { name: 'of a huge one', cidr: 'fd00::/16', gives: ['fd00::1/16', 'fd00::2/16'] },
    {
      name: 'of its range',
      cidr: '10.0.0.0/24',
      range: '10.0.0.128/30',
      gives: ['10.0.0.128/24', '10.0.0.129/24', '10.0.0.130/24', '10.0.0.131/24', 'none'],
    },
    {
      name: 'of a range at the end',
      cidr: '10.0.0.0/24',
      range: '10.0.0.252/30',
      gives: ['10.0.0.252/24', '10.0.0.253/24', '10.0.0.254/24', 'none'],
    },
    {
      name: 'of a range that is all of it',
      cidr: '10.0.0.0/30',
      range: '10.0.0.0/30',
      gives: ['10.0.0.1/30', '10.0.0.2/30', 'none'],
    },
    {
      name: 'auxiliary addresses outside the range are accepted',
      cidr: '10.0.0.0/24',
      range: '10.0.0.128/31',
      take: ['10.0.0.5', '10.0.0.128'],
      gives: ['10.0.0.129/24', 'none'],
    },
  ];
  for (const { name, cidr, range, take = [], gives } of table) {
    const state = start();
    const { id } = pool(state, cidr, range ? { range } : {});
    t.equal(id, `weave:${cidr}`);
    for (const address of take) lease(state, id, address);
    const found = gives.map((wanted) =>
      wanted === 'none'
        ? refusal(() => lease(state, id)) === 'WEAVE_POOL_EXHAUSTED'
          ? 'none'
          : '?'
        : lease(state, id),
    );
    t.strictSame(found, gives, name);
  }
});

t.test('an address asked for by hand', async (t) => {
  const state = start();
  const { id } = pool(state, '10.0.0.0/24');
  const table: [wanted: string, result: string][] = [
    ['10.0.0.7', '10.0.0.7/24'],
    ['10.0.0.7', 'WEAVE_ADDRESS_IN_USE'],
    ['10.0.0.0', 'WEAVE_INVALID_ADDRESS'],
    ['10.0.0.255', 'WEAVE_INVALID_ADDRESS'],
    ['10.0.1.1', 'WEAVE_INVALID_ADDRESS'],
    ['fd00::1', 'WEAVE_INVALID_ADDRESS'],
    ['10.0.0', 'WEAVE_INVALID_ADDRESS'],
    ['10.0.0.254', '10.0.0.254/24'],
  ];
  for (const [wanted, result] of table) {
    const before = digest(state);
    if (!result.startsWith('WEAVE')) t.equal(lease(state, id, wanted), result);
    else {
      t.equal(
        refusal(() => lease(state, id, wanted)),
        result,
        `${wanted}: ${result}`,
      );
      t.equal(digest(state), before);
    }
  }
  t.equal(
    refusal(() => lease(state, 'weave:10.9.0.0/24')),
    'WEAVE_POOL_NOT_FOUND',
  );
  state.apply(releaseAddress(state, id, '10.0.0.7'));
  t.strictSame(releaseAddress(state, id, '10.0.0.7'), [], 'given back twice');
  t.strictSame(releaseAddress(state, 'weave:10.9.0.0/24', '10.0.0.7'), [], 'given back to nobody');
  t.equal(lease(state, id, '10.0.0.7'), '10.0.0.7/24', 'free again');
});

t.test('what was given back is given out again', async (t) => {
  const state = start();
  const { id } = pool(state, '10.0.0.0/24');
  for (let n = 0; n < 10; n++) lease(state, id);
  for (const address of ['10.0.0.3', '10.0.0.7', '10.0.0.1']) state.apply(releaseAddress(state, id, address));
  t.strictSame(
    [1, 2, 3, 4].map(() => lease(state, id)),
    ['10.0.0.1/24', '10.0.0.3/24', '10.0.0.7/24', '10.0.0.11/24'],
  );
  state.apply(releasePool(state, id));
  t.strictSame([state.pools.size, state.leases.size], [0, 0], 'a pool goes with its leases');
  t.strictSame(releasePool(state, id), [], 'twice');
  pool(state, '10.0.0.0/24');
  t.equal(lease(state, id), '10.0.0.1/24', 'and comes back empty');
});

t.test('pools do not overlap', async (t) => {
  const state = start();
  pool(state, '10.0.0.0/16');
  for (const text of ['10.0.0.0/16', '10.0.3.0/24', '10.0.0.0/8', '0.0.0.0/0'])
    t.equal(
      refusal(() => pool(state, text, { now: MINUTE - 1 })),
      'WEAVE_SUBNET_OVERLAP',
      text,
    );
  for (const text of ['10.1.0.0/16', 'fd00::/64']) t.equal(pool(state, text).cidr, text);
  t.equal(
    refusal(() => pool(state, '10.7.0.1/16')),
    'WEAVE_INVALID_SUBNET',
    'host bits',
  );
  t.equal(
    refusal(() => pool(state, 'fd01::/64', { family: 4 })),
    'WEAVE_INVALID_SUBNET',
    'of the other family',
  );
  t.equal(
    refusal(() => pool(state, '10.7.0.0/16', { range: '10.8.0.0/24' })),
    'WEAVE_INVALID_SUBNET',
    'range outside',
  );
  t.equal(
    refusal(() => pool(state, '10.7.0.0/16', { range: '10.7.0.1/24' })),
    'WEAVE_INVALID_SUBNET',
    'range with host bits',
  );
  t.equal(
    refusal(() => pool(state, '10.7.0.0/16', { range: '10.0.0.0/8' })),
    'WEAVE_INVALID_SUBNET',
    'range around it',
  );
  t.equal(pool(state, 'fd03::/64', { range: 'FD03:0::/80' }).range, 'fd03::/80', 'a range is kept in its one spelling');
});

t.test('a pool that nobody used is an orphan after a minute', async (t) => {
  const state = start();
  const { id } = pool(state, '10.0.0.0/16');
  lease(state, id);
  t.equal(
    refusal(() => pool(state, '10.0.0.0/24', { now: MINUTE - 1 })),
    'WEAVE_SUBNET_OVERLAP',
    'not yet',
  );
  t.equal(
    refusal(() => pool(state, '10.0.0.0/24', { now: 1 - MINUTE })),
    'WEAVE_SUBNET_OVERLAP',
    'nor when the clock is set back by a little',
  );
  t.equal(pool(state, '10.0.0.0/24', { now: MINUTE }).cidr, '10.0.0.0/24', 'it gives way');
  t.strictSame([[...state.pools.keys()], state.leases.size], [['weave:10.0.0.0/24'], 0], 'with its leases');
  pool(state, '10.9.0.0/16', { now: 9 * 365 * 24 * 60 * MINUTE });
  t.equal(pool(state, '10.9.0.0/24', { now: MINUTE }).cidr, '10.9.0.0/24', 'also one that was made in years to come');
  network(state, { name: 'blue', subnets: [{ cidr: '10.1.0.0/16' }] });
  t.equal(
    refusal(() => pool(state, '10.1.0.0/24', { now: 99 * MINUTE })),
    'WEAVE_SUBNET_OVERLAP',
    'a network keeps its own',
  );
  const before = digest(state);
  t.equal(
    refusal(() => pool(state, '10.0.0.0/8', { now: 99 * MINUTE })),
    'WEAVE_SUBNET_OVERLAP',
  );
  t.equal(digest(state), before, 'no orphan goes for a pool that is refused');
});

t.test('a subnet that Weave chooses', async (t) => {
  const state = start();
  const chosen = (rest: Partial<PoolRequest> = {}) =>
    take(state, requestPool(state, { family: 4, now: 0, ...rest })).pool.cidr;
  t.equal(chosen(), '10.64.16.0/20', 'never the first of the source');
  t.equal(chosen(), '10.64.32.0/20');
  t.equal(
    chosen({ avoid: ['10.64.0.0/18', '192.168.0.0/16', 'fd00::/8'] }),
    '10.64.64.0/20',
    'none that is routed elsewhere',
  );
  t.equal(chosen({ family: 6 }), 'fd77:6561:7665:1::/64');
  t.equal(chosen(), '10.64.48.0/20', 'the lowest');
  t.equal(
    refusal(() => chosen({ avoid: ['10.64.0.0/10'] })),
    'WEAVE_POOL_EXHAUSTED',
  );
  t.notOk(DEFAULT_SUBNETS.some((text) => [...state.pools.values()].some((p) => overlaps(cidr(p.cidr), cidr(text)))));
});

interface Request {
  give: boolean;
  pool: number;
  n: number;
  exact: boolean;
}

/** A pool, what is known to be held of it, and every host that it may hand out unasked. */
function heldPool(state: State, text: string, range: string) {
  const { id } = pool(state, text, { range });
  const { first, last } = hostBounds(cidr(text), cidr(range));
  const { family } = cidr(text);
  const hosts = Array.from({ length: Number(last - first) + 1 }, (_, i) =>
    formatAddress({ family, value: first + BigInt(i) }),
  );
  return { id, hosts, held: new Set<string>() };
}

function requestOrRelease(state: State, { id, hosts, held }: ReturnType<typeof heldPool>, step: Request): void {
  if (step.give) {
    const address = [...held][step.n % Math.max(1, held.size)] ?? hosts[0]!;
    state.apply(releaseAddress(state, id, address));
    held.delete(address);
    return;
  }
  const wanted = step.exact ? hosts[step.n % hosts.length] : undefined;
  const free = hosts.find((host) => !held.has(host) && (wanted ?? host) === host);
  const got = refusal(() => requestAddress(state, id, wanted)) ? undefined : lease(state, id, wanted).split('/')[0]!;
  if (got !== free) throw new Error(`${got} was given where ${free} is free`);
  if (got) held.add(got);
}

t.test('random requests and releases', async (t) => {
  const subnets = [
    ['10.0.0.0/28', '10.0.0.0/28'],
    ['10.0.1.0/30', '10.0.1.0/30'],
    ['fd00::/125', 'fd00::/125'],
    ['10.0.2.0/24', '10.0.2.64/27'],
    ['10.0.3.0/31', '10.0.3.0/31'],
  ] as const;
  const request: fc.Arbitrary<Request> = fc.record({
    give: fc.boolean(),
    pool: fc.nat(subnets.length - 1),
    n: fc.nat(300),
    exact: fc.boolean(),
  });
  let requests = 0;
  fc.assert(
    fc.property(fc.array(request, { minLength: 50, maxLength: 400, size: 'max' }), (script) => {
      const state = start();
      const pools = subnets.map(([text, range]) => heldPool(state, text, range));
      for (const step of script) requestOrRelease(state, pools[step.pool]!, step);
      requests += script.length;
      return digest(state.copy()) === digest(state);
    }),
    { numRuns: 100 },
  );
  t.comment(`${requests} requests`);
  t.ok(requests > 5000, 'never give one twice, and give the lowest free one as long as there is one');
});

t.test('networks', async (t) => {
  await t.test('of one’s own', async (t) => {
    const state = start();
    const blue = network(state, {
      name: 'blue',
      subnets: [{ cidr: '10.3.0.0/16', gateway: '10.3.0.9', range: '10.3.1.0/24' }, { cidr: 'fd03::/64' }],
      options: { mtu: '1400' },
    });
    t.match(blue, {
      name: 'blue',
      owner: 'weave',
      mtu: 1400,
      subnets: [
        { cidr: '10.3.0.0/16', gateway: '10.3.0.9', pool: 'weave:10.3.0.0/16' },
        { cidr: 'fd03::/64', pool: 'weave:fd03::/64' },
      ],
    });
    t.equal(state.pools.get('weave:10.3.0.0/16')?.range, '10.3.1.0/24');
    t.strictSame([...state.leases.keys()], ['weave:10.3.0.0/16 10.3.0.9'], 'its gateway is taken');
    t.equal(state.network('blue'), blue);
    t.equal(state.network(blue.id.slice(0, 12)), blue, 'by the start of its id');
    t.equal(
      refusal(() => state.network(blue.id.slice(0, 11))),
      'WEAVE_NETWORK_NOT_FOUND',
      'not by less',
    );
    const two = network(state, { name: 'two' });
    t.strictSame(
      two.subnets.map((s) => s.cidr),
      ['10.64.16.0/20', 'fd77:6561:7665:1::/64'],
      'subnets of both families',
    );
    t.not(two.vni, blue.vni);
    const gone = removeNetwork(state, 'blue').changes;
    state.apply(gone);
    t.strictSame([[...state.networks.values()], [...state.pools.keys()].length, state.leases.size], [[two], 2, 0]);
    t.equal(network(state, { name: 'blue' }).id, blue.id, 'made again it is the same one');
  });

  await t.test('have a VNI each', async (t) => {
    const first = network(start(), { name: 'blue' });
    const vniBeside = (...taken: number[]) => {
      const state = start();
      for (const vni of taken)
        state.apply([{ table: 'network', id: hex(vni), record: { ...first, id: hex(vni), name: `n${vni}`, vni } }]);
      return network(state, { name: 'blue', subnets: [{ cidr: '10.3.0.0/16' }] }).vni;
    };
    t.equal(vniBeside(), first.vni, 'the same everywhere');
    t.equal(vniBeside(first.vni, first.vni + 1), first.vni + 2, 'the next one where it is taken');
  });

  await t.test('that lead outside', async (t) => {
    const gateways = (subnets: NetworkSpec['subnets'], rest: Partial<NetworkSpec> = {}) => {
      const options = { 'works.weave.gateway': 'weave' };
      return network(start(), { name: 'out', subnets, options, ...rest }).subnets.map((s) => s.gateway);
    };
    t.strictSame(gateways([{ cidr: '10.3.0.0/16' }, { cidr: 'fd03::/64' }]), ['10.3.0.1', 'fd03::1'], 'have a gateway');
    t.strictSame(
      gateways([{ cidr: '10.3.0.0/16', gateway: '10.3.255.254' }]),
      ['10.3.255.254'],
      'or the one asked for',
    );
    t.strictSame(
      gateways([{ cidr: '10.3.0.0/31' }, { cidr: '10.4.0.7/32' }]),
      ['10.3.0.0', '10.4.0.7'],
      'however small',
    );
    t.strictSame(gateways([{ cidr: '10.3.0.0/16' }], { internal: true }), [undefined], 'internal ones do not');
    const state = start();
    const out = network(state, {
      name: 'out',
      subnets: [{ cidr: '10.3.0.0/16' }],
      options: { 'works.weave.gateway': 'weave' },
    });
    t.equal(lease(state, out.subnets[0]!.pool!), '10.3.0.2/16', 'which nobody else gets');
  });

  await t.test('refused, and nothing changes', async (t) => {
    const state = start();
    network(state, { name: 'blue', subnets: [{ cidr: '10.3.0.0/16' }] });
    const before = digest(state);
    const table: [name: string, spec: NetworkSpec, code: string][] = [
      ['empty name', { name: '' }, 'WEAVE_INVALID_NAME'],
      ['name with a blank', { name: 'a b' }, 'WEAVE_INVALID_NAME'],
      ['name that starts with a dash', { name: '-a' }, 'WEAVE_INVALID_NAME'],
      ['long name', { name: 'a'.repeat(64) }, 'WEAVE_INVALID_NAME'],
      ['taken name', { name: 'blue' }, 'WEAVE_NETWORK_EXISTS'],
      ['overlap', { name: 'red', subnets: [{ cidr: '10.0.0.0/8' }] }, 'WEAVE_SUBNET_OVERLAP'],
      [
        'overlap with itself',
        { name: 'red', subnets: [{ cidr: '10.5.0.0/16' }, { cidr: '10.5.1.0/24' }] },
        'WEAVE_SUBNET_OVERLAP',
      ],
      [
        'twice the same',
        { name: 'red', subnets: [{ cidr: '10.5.0.0/16' }, { cidr: '10.5.0.0/16' }] },
        'WEAVE_SUBNET_OVERLAP',
      ],
      ['no subnet', { name: 'red', subnets: [{ cidr: '10.5' }] }, 'WEAVE_INVALID_SUBNET'],
      [
        'gateway elsewhere',
        { name: 'red', subnets: [{ cidr: '10.5.0.0/16', gateway: '10.6.0.1' }] },
        'WEAVE_INVALID_ADDRESS',
      ],
      [
        'gateway of the other family',
        { name: 'red', subnets: [{ cidr: '10.5.0.0/16', gateway: 'fd00::1' }] },
        'WEAVE_INVALID_ADDRESS',
      ],
      [
        'network address',
        { name: 'red', subnets: [{ cidr: '10.5.0.0/16', gateway: '10.5.0.0' }] },
        'WEAVE_INVALID_ADDRESS',
      ],
      [
        'broadcast address',
        { name: 'red', subnets: [{ cidr: '10.5.0.0/16', gateway: '10.5.255.255' }] },
        'WEAVE_INVALID_ADDRESS',
      ],
      ['no gateway', { name: 'red', subnets: [{ cidr: '10.5.0.0/16', gateway: 'x' }] }, 'WEAVE_INVALID_ADDRESS'],
      ['option', { name: 'red', options: { color: 'red' } }, 'WEAVE_UNKNOWN_OPTION'],
      ['value', { name: 'red', options: { mtu: '1' } }, 'WEAVE_INVALID_OPTION'],
    ];
    for (const [name, spec, code] of table) {
      t.equal(
        refusal(() => network(state, spec)),
        code,
        name,
      );
      t.equal(digest(state), before);
    }
    t.equal(
      refusal(() => removeNetwork(state, 'red')),
      'WEAVE_NETWORK_NOT_FOUND',
    );
  });

  await t.test('of an engine', async (t) => {
    const state = start();
    const { id } = pool(state, '10.3.0.0/16');
    lease(state, id, '10.3.0.1');
    const spec = {
      id: 'd'.repeat(64),
      subnets: [
        { cidr: '10.3.0.7/16', gateway: '10.3.0.1/16', ours: true },
        { cidr: '172.30.0.0/16', ours: false },
      ],
      options: {},
      internal: false,
    };
    state.apply(adoptNetwork(state, spec));
    t.match(state.network(spec.id), {
      name: 'dddddddddddd',
      owner: 'docker',
      subnets: [{ cidr: '10.3.0.0/16', gateway: '10.3.0.1', pool: id }, { cidr: '172.30.0.0/16' }],
    });
    t.strictSame(adoptNetwork(state, spec), [], 'twice');
    t.equal(
      refusal(() => adoptNetwork(state, { ...spec, id: '../x' })),
      'WEAVE_INVALID_REQUEST',
    );
    const unknown = { ...spec, id: 'e'.repeat(64), subnets: [{ cidr: '10.9.0.0/16', ours: true }] };
    t.equal(
      refusal(() => adoptNetwork(state, unknown)),
      'WEAVE_POOL_NOT_FOUND',
    );
    t.equal(
      refusal(() => removeNetwork(state, spec.id)),
      'WEAVE_NETWORK_OWNED',
    );
    state.apply(nameNetwork(state, spec.id, 'backend'));
    t.equal(state.network('backend').id, spec.id, 'learns its name');
    t.equal(
      refusal(() => state.network('dddddddddddd')),
      undefined,
      'and is known by its id',
    );
    t.strictSame(nameNetwork(state, spec.id, 'backend'), []);
    t.strictSame(nameNetwork(state, 'nobody', 'x'), []);
    state.apply(forgetNetwork(state, spec.id));
    t.strictSame([state.networks.size, state.pools.has(id)], [0, true], 'the engine gives its pool back by itself');
    t.strictSame(forgetNetwork(state, spec.id), [], 'twice');
  });

  await t.test('of an engine, with a name that is taken', async (t) => {
    const state = start();
    const ours = network(state, { name: 'weave', subnets: [{ cidr: '10.32.0.0/12' }] });
    const spec = { name: 'weave', subnets: [{ cidr: '172.30.0.0/16', ours: false }], options: {}, internal: false };
    state.apply(adoptNetwork(state, { ...spec, id: 'd'.repeat(64) }));
    t.equal(state.network('weave'), ours, 'it is ours still');
    t.equal(state.network('d'.repeat(12)).name, 'd'.repeat(12));
    t.strictSame(nameNetwork(state, 'd'.repeat(64), 'weave'), [], 'nor later');
    state.apply(adoptNetwork(state, { ...spec, id: `${'d'.repeat(12)}${'e'.repeat(52)}` }));
    t.equal(new Set([...state.networks.values()].map((n) => n.name)).size, 3, 'nor the start of an id twice');
    state.apply(forgetNetwork(state, 'd'.repeat(64)));
    t.equal(state.network('weave'), ours, 'and is when the other goes');
  });

  await t.test('of an engine that lead outside without a gateway named', async (t) => {
    const state = start();
    const { id } = pool(state, '10.3.0.0/16');
    const options = { 'works.weave.gateway': 'weave' };
    state.apply(
      adoptNetwork(state, {
        id: 'd'.repeat(64),
        subnets: [{ cidr: '10.3.0.0/16', ours: true }],
        options,
        internal: false,
      }),
    );
    t.equal(state.network('d'.repeat(64)).subnets[0]!.gateway, '10.3.0.1');
    t.equal(lease(state, id), '10.3.0.2/16', 'nobody else gets it');
  });
});

t.test('an alias tells of a network', async (t) => {
  const spec = fc.record({
    name: fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,20}$/),
    subnets: fc.constantFrom<NetworkSpec['subnets']>(
      [{ cidr: '10.3.0.0/16' }],
      [
        { cidr: '10.3.0.0/16', gateway: '10.3.0.7', range: '10.3.4.0/24' },
        { cidr: 'fd03::/64', gateway: 'fd03::9' },
      ],
      [{ cidr: '10.3.0.4/31' }],
    ),
    options: fc.record(
      {
        mtu: fc.integer({ min: 1280, max: 65535 }).map(String),
        'works.weave.multicast': fc.constantFrom('true', 'false'),
        'works.weave.gateway': fc.constantFrom('engine', 'weave', 'none'),
      },
      { requiredKeys: [] },
    ),
    internal: fc.boolean(),
  });
  fc.assert(
    fc.property(spec, (wanted) => {
      const state = start();
      const made = network(state, wanted);
      const alias = networkAlias(state, made)!;
      const lost = start();
      const link = { name: bridgeName(made.id), kind: 'bridge', mac: '', mtu: 1430, up: true, alias };
      lost.apply(networkOfAlias(lost, link));
      if (networkOfAlias(lost, link).length > 0) throw new Error('it is known now');
      return digest(lost) === digest(state) && networkOfAlias(start(), { ...link, name: 'wbother' }).length === 0;
    }),
  );
  t.pass('made again from it, it is the same');
  const link = { name: 'wb', kind: 'bridge', mac: '', mtu: 1430, up: true };
  for (const alias of [
    undefined,
    '',
    'weave',
    'docker0',
    'weave blue',
    'weave blue 10.3',
    'weave ../x 10.3.0.0/16 a=b',
  ])
    t.strictSame(networkOfAlias(start(), { ...link, ...(alias === undefined ? {} : { alias }) }), [], `not: ${alias}`);
});

t.test('endpoints of an engine', async (t) => {
  const fresh = () => {
    const state = start();
    pool(state, '10.3.0.0/16');
    const spec = { id: 'd'.repeat(64), subnets: [{ cidr: '10.3.0.0/16', ours: true }], options: {}, internal: false };
    state.apply(adoptNetwork(state, { ...spec, name: 'blue' }));
    return state;
  };
  const spec = { id: hex(1), network: 'blue', addresses: ['10.3.0.2/16'] };

  await t.test('made, joined, left, deleted', async (t) => {
    const state = fresh();
    const { endpoint } = take(state, createEndpoint(state, spec));
    t.match(endpoint, { mac: '5a:77:0a:03:00:02', owner: 'docker', peer: SELF });
    t.strictSame(createEndpoint(state, spec), { endpoint, changes: [] }, 'made twice');
    take(state, joinEndpoint(state, hex(1), '/sandbox/1'));
    t.strictSame(
      state.endpointsIn('/sandbox/1').map((e) => e.id),
      [hex(1)],
    );
    t.match(state.endpoint(hex(1)).sandbox, { kind: 'engine', key: '/sandbox/1', multicast: true });
    state.apply(publishPorts(state, hex(1), [{ protocol: 'tcp', hostPort: 80, port: 80 }]));
    state.apply(nameEndpoint(state, hex(1), { id: 'c1', name: 'web' }));
    t.strictSame(nameEndpoint(state, hex(1), { id: 'c1', name: 'web' }), []);
    t.strictSame(nameEndpoint(state, hex(9), { id: 'c1', name: 'web' }), []);
    t.strictSame(
      state.endpointsIn('c1').map((e) => e.id),
      [hex(1)],
    );
    state.apply(leaveEndpoint(state, hex(1)));
    t.strictSame([state.endpoint(hex(1)).sandbox, state.endpoint(hex(1)).ports], [undefined, undefined]);
    t.strictSame(leaveEndpoint(state, hex(1)), [], 'left twice');
    t.strictSame(leaveEndpoint(state, hex(9)), [], 'left by nobody');
    state.apply(deleteEndpoint(state, hex(1)));
    t.strictSame(deleteEndpoint(state, hex(1)), [], 'deleted twice');
    t.strictSame([state.endpointsOf(state.network('blue').id), state.endpointsIn('c1')], [[], []]);
  });

  await t.test('refused, and nothing changes', async (t) => {
    const state = fresh();
    take(state, createEndpoint(state, spec));
    state.apply(nameEndpoint(state, hex(1), { id: 'c1', name: 'web' }));
    const before = digest(state);
    const table: [name: string, code: string, rest: object][] = [
      ['no id', 'WEAVE_INVALID_REQUEST', { id: 'x' }],
      ['no network', 'WEAVE_NETWORK_NOT_FOUND', { id: hex(2), network: 'red' }],
      ['no address', 'WEAVE_INVALID_REQUEST', { id: hex(2), addresses: [] }],
      ['what is no address', 'WEAVE_INVALID_ADDRESS', { id: hex(2), addresses: ['10.3.0.3'] }],
      ['taken address', 'WEAVE_ADDRESS_IN_USE', { id: hex(2) }],
      ['taken address of another length', 'WEAVE_ADDRESS_IN_USE', { id: hex(2), addresses: ['10.3.0.2/24'] }],
      ['other addresses', 'WEAVE_ENDPOINT_EXISTS', { addresses: ['10.3.0.3/16'] }],
      ['multicast MAC', 'WEAVE_INVALID_REQUEST', { id: hex(2), addresses: ['10.3.0.3/16'], mac: '01:00:00:00:00:01' }],
      ['no MAC', 'WEAVE_INVALID_REQUEST', { id: hex(2), addresses: ['10.3.0.3/16'], mac: '02:00:00:00:00' }],
    ];
    for (const [name, code, rest] of table) {
      t.equal(
        refusal(() => take(state, createEndpoint(state, { ...spec, ...rest }))),
        code,
        name,
      );
      t.equal(digest(state), before);
    }
    t.throws(() => createEndpoint(state, { ...spec, id: hex(2) }), {
      message: /10\.3\.0\.2 on network blue is in use by container web/,
    });
    t.equal(
      refusal(() => joinEndpoint(state, hex(9), '/x')),
      'WEAVE_ENDPOINT_NOT_FOUND',
    );
    t.equal(
      refusal(() => publishPorts(state, hex(9), [])),
      'WEAVE_ENDPOINT_NOT_FOUND',
    );
  });

  await t.test('a sandbox has one route for multicast', async (t) => {
    const state = fresh();
    for (const n of [1, 2, 3])
      take(state, createEndpoint(state, { ...spec, id: hex(n), addresses: [`10.3.0.${n + 1}/16`] }));
    take(state, joinEndpoint(state, hex(1), '/sandbox/1'));
    take(state, joinEndpoint(state, hex(2), '/sandbox/1'));
    take(state, joinEndpoint(state, hex(3), '/sandbox/2'));
    const multicast = () =>
      [1, 2, 3].map((n) => {
        const { sandbox } = state.endpoint(hex(n));
        return sandbox?.kind === 'engine' && sandbox.multicast;
      });
    t.strictSame(multicast(), [true, false, true]);
    take(state, joinEndpoint(state, hex(1), '/sandbox/1'));
    t.strictSame(multicast(), [true, false, true], 'joined again');
    state.apply(leaveEndpoint(state, hex(1)));
    take(state, joinEndpoint(state, hex(2), '/sandbox/1'));
    t.strictSame(multicast(), [undefined, true, true].map(Boolean), 'another has it when the first has left');
  });

  await t.test('a MAC that stayed behind is not given twice', async (t) => {
    const state = fresh();
    take(state, createEndpoint(state, { ...spec, mac: '5A:77:0A:03:00:03' }));
    t.equal(state.endpoint(hex(1)).mac, '5a:77:0a:03:00:03');
    const other = take(state, createEndpoint(state, { ...spec, id: hex(2), addresses: ['10.3.0.3/16'] })).endpoint;
    t.match(other.mac, /^5e:/, 'the address’s own is somebody else’s');
    const before = digest(state);
    const third = { ...spec, id: hex(3), addresses: ['10.3.0.4/16'], mac: other.mac.toUpperCase() };
    t.throws(() => createEndpoint(state, third), {
      code: 'WEAVE_ADDRESS_IN_USE',
      message: new RegExp(`MAC ${other.mac} on network .* is in use by container 0{12}`),
    });
    t.equal(digest(state), before);
    take(state, createEndpoint(state, { ...spec, mac: '5a:77:0a:03:00:03' }));
    state.apply(deleteEndpoint(state, hex(2)));
    take(state, createEndpoint(state, third));
  });

  await t.test('bridges fill up one by one', async (t) => {
    const state = fresh();
    const shards: (number | undefined)[] = [];
    const opened: number[] = [];
    for (let n = 0; n < 600; n++) {
      const addresses = [`10.3.${1 + (n >> 8)}.${n & 255}/16`];
      const decided = createEndpoint(state, { id: hex(n), network: 'blue', addresses });
      if (opensShard(state, decided.endpoint)) opened.push(n);
      shards.push(take(state, decided).endpoint.shard);
    }
    const sizes = state.shardsOf(state.network('blue').id);
    t.ok(sizes.length > 1 && Math.max(...sizes) <= 1000, `${sizes}`);
    t.equal(shards[0], undefined);
    t.equal(opened.length, sizes.length - 1, 'each is made when its first endpoint comes');
    t.strictSame(
      opened,
      sizes.slice(1).map((_, k) => shards.indexOf(k + 1)),
    );
    state.apply(deleteEndpoint(state, hex(3)));
    const again = createEndpoint(state, { id: hex(999), network: 'blue', addresses: ['10.3.9.9/16'] });
    t.equal(take(state, again).endpoint.shard, undefined, 'the first with room');
    for (const { id } of [...state.endpoints.values()]) state.apply(deleteEndpoint(state, id));
    t.strictSame(state.shardsOf(state.network('blue').id), []);
  });
});

t.test('published ports', async (t) => {
  const state = start();
  const out = network(state, {
    name: 'out',
    subnets: [{ cidr: '10.3.0.0/16' }, { cidr: 'fd03::/64' }],
    options: { 'works.weave.gateway': 'weave' },
  });
  for (const n of [1, 2]) {
    const addresses = [`10.3.0.${n + 1}/16`, `fd03::${n + 1}/64`];
    take(state, createEndpoint(state, { id: hex(n), network: 'out', addresses }));
  }
  take(state, joinEndpoint(state, hex(1), '/sandbox/1'));
  const port = { protocol: 'tcp', hostPort: 8080, port: 80 } as const;
  state.apply(publishPorts(state, hex(1), [port]));
  t.strictSame(publishPorts(state, hex(1), [port]), [], 'twice');
  const table: [name: string, port: object, code: string | undefined][] = [
    ['the same', {}, 'WEAVE_PORT_IN_USE'],
    ['on one address', { hostAddress: '192.0.2.1' }, 'WEAVE_PORT_IN_USE'],
    ['of another protocol', { protocol: 'udp' }, undefined],
    ['of another number', { hostPort: 8081 }, undefined],
    ['no address', { hostPort: 8081, hostAddress: '127.0.0.1; drop' }, 'WEAVE_INVALID_ADDRESS'],
    ['no port', { hostPort: 0 }, 'WEAVE_INVALID_REQUEST'],
    ['no port either', { port: 65536 }, 'WEAVE_INVALID_REQUEST'],
    ['half a port', { port: 1.5 }, 'WEAVE_INVALID_REQUEST'],
  ];
  for (const [name, rest, code] of table)
    t.equal(
      refusal(() => publishPorts(state, hex(2), [{ ...port, ...rest }])),
      code,
      name,
    );
  const link = gatewayName(out.id);
  t.strictSame(desiredFirewall(state), {
    gateways: [{ link, subnets: ['10.3.0.0/16', 'fd03::/64'] }],
    ports: [
      { ...port, link, address: '10.3.0.2' },
      { ...port, link, address: 'fd03::2' },
    ],
  });
  state.apply(publishPorts(state, hex(1), [{ ...port, hostAddress: '127.0.0.1' }]));
  t.strictSame(
    desiredFirewall(state)?.ports,
    [{ ...port, hostAddress: '127.0.0.1', link, address: '10.3.0.2' }],
    'its own family',
  );
  state.apply(publishPorts(state, hex(2), [{ ...port, hostAddress: '::1' }]));
  t.strictSame(desiredFirewall(state)?.ports.length, 1, 'nothing for one that is attached nowhere');
  state.apply(publishPorts(state, hex(1), []));
  t.strictSame(desiredFirewall(state)?.ports, []);
  for (const n of [1, 2]) state.apply(deleteEndpoint(state, hex(n)));
  state.apply(removeNetwork(state, 'out').changes);
  t.equal(desiredFirewall(state), undefined, 'no gateway, no rule');
});
