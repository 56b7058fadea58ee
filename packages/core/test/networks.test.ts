import {
  adoptNetwork,
  attach,
  bridgeName,
  dropNetwork,
  forgetNetwork,
  type NetworkSpec,
  nameNetwork,
  networkAlias,
  networkOfAlias,
  removeNetwork,
} from '@weave/core';
import fc from 'fast-check';
import t from 'tap';
import { hex, lease, network, pool, refusal, start } from './given.ts';
import { digest } from './world.ts';

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

t.test('one that has the place of another keeps its pool as that goes', async (t) => {
  const state = start();
  const subnets = [{ cidr: '10.9.0.0/24', gateway: '10.9.0.1' }];
  const red = network(state, { name: 'red', subnets });
  const target = { path: '/proc/1/ns/net', id: '4:1', container: undefined };
  state.apply(attach(state, red, target, []).changes);
  const before = digest(state);
  const blue = { ...red, id: hex(9), name: 'blue' };
  state.apply([{ table: 'network', id: blue.id, record: blue }]);
  state.apply(dropNetwork(state, blue.id));
  t.equal(digest(state), before, 'with what is taken of it');
  state.apply(dropNetwork(state, red.id));
  t.same([...state.pools.keys()], [], 'and takes it along');
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
