import {
  cidr,
  DEFAULT_SUBNETS,
  formatAddress,
  hostBounds,
  overlaps,
  type PoolRequest,
  releaseAddress,
  releasePool,
  requestAddress,
  requestPool,
  type State,
} from '@weave/core';
import fc from 'fast-check';
import t from 'tap';
import { lease, MINUTE, network, pool, refusal, start, take } from './given.ts';
import { digest } from './world.ts';

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
