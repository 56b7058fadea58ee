import {
  adoptNetwork,
  attach,
  type Change,
  createEndpoint,
  createNetwork,
  desiredFirewall,
  type EngineView,
  joinEndpoint,
  nameEndpoint,
  publishPorts,
  rebuild,
  releaseAddress,
  requestAddress,
  requestPool,
  State,
  withLeftover,
} from '@weave/core';
import fc from 'fast-check';
import t from 'tap';
import { digest, SELF } from './world.ts';

type NetworkView = EngineView['networks'][number];
type EndpointView = NetworkView['endpoints'][number];

const hex = (n: number) => n.toString(16).padStart(64, '0');
const web = { id: hex(0xc1), name: 'web' };

const seenNetwork = (rest: Partial<NetworkView> = {}): NetworkView => ({
  ...{ id: hex(1), name: 'blue', options: {}, internal: false, reserved: ['10.3.0.1'] },
  ...{ subnets: [{ cidr: '10.3.0.0/16', gateway: '10.3.0.1', ours: true }], endpoints: [] },
  ...rest,
});

const seenEndpoint = (n: number, rest: Partial<EndpointView> = {}): EndpointView => ({
  ...{ id: hex(n), addresses: [`10.3.0.${n}/16`], mac: `5a:77:0a:03:00:0${n}`, container: web },
  ...rest,
});

function apply<T extends Change[] | { changes: Change[] }>(state: State, made: T): T {
  state.apply(Array.isArray(made) ? made : made.changes);
  return made;
}

/** What an engine did, as it does it. */
function engineDid(state: State, view: NetworkView): void {
  const held = [...view.reserved, ...view.endpoints.flatMap((e) => e.addresses.map((text) => text.split('/')[0]!))];
  for (const { cidr } of view.subnets.filter(({ ours }) => ours)) {
    const { pool } = apply(state, requestPool(state, { family: 4, cidr, range: view.range?.[cidr], now: 0 }));
    for (const address of held) apply(state, requestAddress(state, pool.id, address));
  }
  apply(state, adoptNetwork(state, view));
  for (const endpoint of view.endpoints) {
    apply(state, createEndpoint(state, { ...endpoint, network: view.id }));
    if (endpoint.sandbox) apply(state, joinEndpoint(state, endpoint.id, endpoint.sandbox));
    if (endpoint.container) apply(state, nameEndpoint(state, endpoint.id, endpoint.container));
  }
}

function stateOf(...views: NetworkView[]): State {
  const state = new State(SELF);
  for (const view of views) engineDid(state, view);
  return state;
}

/** Everything that the state knows was there before the engine was asked. */
const before = (state: State) => new Set([...state.networks.keys(), ...state.endpoints.keys()]);

function rebuilt(state: State, networks: NetworkView[], known: ReadonlySet<string> = before(state)): State {
  const was = digest(state);
  const changes = rebuild(state, { networks }, { now: 0, before: known });
  t.equal(digest(state), was, 'a view changes nothing by itself');
  const after = state.copy();
  after.apply(changes);
  t.strictSame(rebuild(after, { networks }, { now: 0, before: known }), [], 'and twice is once');
  return after;
}

t.test('of two endpoints with one MAC both are learned', async (t) => {
  const twins = [2, 3].map((n) => seenEndpoint(n, { mac: '02:00:00:00:00:09' }));
  const after = rebuilt(new State(SELF), [seenNetwork({ endpoints: twins })]);
  t.strictSame([...after.endpoints.keys()], [hex(2), hex(3)]);
  t.equal(after.endpoint(hex(2)).mac, '02:00:00:00:00:09');
});

t.test('rebuild', async (t) => {
  const full = seenNetwork({
    endpoints: [
      seenEndpoint(2, { sandbox: '/sandbox/1' }),
      seenEndpoint(3, { container: { id: hex(0xc2), name: 'db' } }),
    ],
  });
  const attached = (state: State) => {
    apply(state, createNetwork(state, { name: 'own', subnets: [{ cidr: '10.9.0.0/16' }] }, { now: 0 }));
    for (const network of ['own', hex(1)])
      if (network === 'own' || state.networks.has(network))
        apply(state, attach(state, state.network(network), { path: '/proc/1/ns/net', id: '4:1', container: web }, []));
    return state;
  };
  const table: { name: string; state: State; view: NetworkView[]; known?: ReadonlySet<string>; want: State }[] = [
    { name: 'both agree', state: stateOf(full), view: [full], want: stateOf(full) },
    { name: 'the store was lost', state: new State(SELF), view: [full], want: stateOf(full) },
    {
      name: 'the store was lost: addresses of an engine’s own',
      state: new State(SELF),
      view: [
        seenNetwork({ reserved: [], subnets: [{ cidr: '172.30.0.0/16', ours: false }], endpoints: [seenEndpoint(2)] }),
      ],
      want: stateOf(
        seenNetwork({ reserved: [], subnets: [{ cidr: '172.30.0.0/16', ours: false }], endpoints: [seenEndpoint(2)] }),
      ),
    },
    {
      name: 'the store was lost: a range',
      state: new State(SELF),
      view: [seenNetwork({ range: { '10.3.0.0/16': '10.3.4.0/24' } })],
      want: stateOf(seenNetwork({ range: { '10.3.0.0/16': '10.3.4.0/24' } })),
    },
    {
      name: 'an endpoint was lost',
      state: stateOf({ ...full, endpoints: [full.endpoints[0]!] }),
      view: [full],
      want: stateOf(full),
    },
    { name: 'the engine lost its networks', state: stateOf(full), view: [], want: new State(SELF) },
    {
      name: 'the engine lost an endpoint',
      state: stateOf(full),
      view: [{ ...full, endpoints: [full.endpoints[1]!] }],
      want: stateOf({ ...full, endpoints: [full.endpoints[1]!] }),
    },
    { name: 'a network newer than the view', state: stateOf(full), view: [], known: new Set(), want: stateOf(full) },
    {
      name: 'an endpoint newer than the view',
      state: stateOf(full),
      view: [{ ...full, endpoints: [full.endpoints[1]!] }],
      known: new Set([hex(1), hex(3)]),
      want: stateOf(full),
    },
    {
      name: 'an endpoint whose container has not joined',
      state: new State(SELF),
      view: [{ ...full, endpoints: [seenEndpoint(2, { container: undefined })] }],
      want: stateOf({ ...full, endpoints: [seenEndpoint(2, { container: undefined })] }),
    },
    { name: 'what is Weave’s own stays', state: attached(new State(SELF)), view: [], want: attached(new State(SELF)) },
    {
      name: 'what is attached to a lost network goes with it',
      state: attached(stateOf(full)),
      view: [],
      want: attached(new State(SELF)),
    },
    {
      name: 'a container has another name',
      state: stateOf(full),
      view: [
        {
          ...full,
          endpoints: full.endpoints.map((e) => ({ ...e, container: { ...(e.container ?? web), name: 'new' } })),
        },
      ],
      want: stateOf({
        ...full,
        endpoints: full.endpoints.map((e) => ({ ...e, container: { ...(e.container ?? web), name: 'new' } })),
      }),
    },
  ];
  for (const { name, state, view, known, want } of table)
    t.equal(digest(rebuilt(state, view, known)), digest(want), name);
});

t.test('rebuild: a network that the hosts gave up, and the engine not yet', async (t) => {
  const gone = seenNetwork({ id: hex(9), options: { 'works.weave.network': hex(8) }, endpoints: [seenEndpoint(2)] });
  const state = new State(SELF);
  t.throws(() => rebuild(state, { networks: [gone] }, { now: 0, before: before(state) }), {
    code: 'WEAVE_NETWORK_NOT_FOUND',
  });
  state.apply([{ table: 'self', id: 'self', record: { peer: SELF, cluster: 'c'.repeat(16) } }]);
  const other = seenNetwork({ subnets: [{ cidr: '10.4.0.0/16', gateway: '10.4.0.1', ours: true }], reserved: [] });
  t.same([...rebuilt(state, [gone, other]).networks.keys()], [other.id], 'the others are as the engine has them');
});

t.test('rebuild: a network’s name', async (t) => {
  const unnamed = stateOf(seenNetwork({ name: undefined }));
  t.equal(unnamed.network(hex(1)).name, '000000000000');
  t.equal(rebuilt(unnamed, [seenNetwork()]).network('blue').id, hex(1), 'is learned');
  const own = new State(SELF);
  apply(own, createNetwork(own, { name: 'blue', subnets: [{ cidr: '10.9.0.0/16' }] }, { now: 0 }));
  const after = rebuilt(own, [seenNetwork()]);
  t.equal(after.network('blue').owner, 'weave', 'is not taken from one of ours');
  t.equal(after.network(hex(1)).owner, 'docker');
});

t.test('rebuild: what an engine holds is not given out again', async (t) => {
  const view = seenNetwork({ endpoints: [seenEndpoint(2), seenEndpoint(3)] });
  const after = rebuilt(new State(SELF), [view]);
  t.equal(requestAddress(after, 'weave:10.3.0.0/16').cidr, '10.3.0.4/16');
  const unnamed = seenNetwork({ reserved: [], subnets: [{ cidr: '10.3.0.0/16', ours: true }] });
  t.equal(
    requestAddress(rebuilt(new State(SELF), [unnamed]), 'weave:10.3.0.0/16').cidr,
    '10.3.0.2/16',
    'nor a gateway that it does not tell of',
  );
  const auxiliary = seenNetwork({ reserved: ['10.3.0.1', '10.3.0.2'] });
  t.equal(requestAddress(rebuilt(new State(SELF), [auxiliary]), 'weave:10.3.0.0/16').cidr, '10.3.0.3/16');
});

t.test('rebuild: what an engine was given and does not use', async (t) => {
  const unnamedGateway = { reserved: [], subnets: [{ cidr: '10.3.0.0/16', ours: true }] };
  const view = seenNetwork({ ...unnamedGateway, endpoints: [seenEndpoint(2)] });
  const state = stateOf(seenNetwork({ endpoints: [seenEndpoint(2)] }));
  const pool = '10.3.0.0/16';
  const lost = requestAddress(state, `weave:${pool}`);
  const again = requestAddress(state, `weave:${pool}`, '10.3.0.7');
  for (const made of [lost, again]) apply(state, made);
  apply(state, requestPool(state, { family: 4, cidr: '10.8.0.0/16', now: 0 }));
  apply(
    state,
    createNetwork(state, { name: 'own', subnets: [{ cidr: '10.9.0.0/16', gateway: '10.9.0.1' }] }, { now: 0 }),
  );
  const attached = attach(state, state.network('blue'), { path: '/proc/1/ns/net', id: '4:1', container: web }, []);
  apply(state, attached);
  const known = new Set([...before(state), ...state.grants.all()]);

  apply(state, releaseAddress(state, `weave:${pool}`, '10.3.0.7'));
  apply(state, requestAddress(state, `weave:${pool}`, '10.3.0.7'));
  apply(state, requestAddress(state, `weave:${pool}`, '10.3.0.8'));
  const held = (after: State) => [...after.leases.values()].map(({ address }) => address).sort();
  const before12s = rebuilt(state, [view]);
  t.strictSame(held(before12s), held(state), 'is not given up at once: it may be about to use it');
  t.strictSame([...before12s.pools.keys()], [...state.pools.keys()]);
  const after = rebuilt(state, [view], known);
  t.strictSame(held(after), ['10.3.0.1', '10.3.0.2', '10.3.0.7', '10.3.0.8', '10.9.0.1'], 'but later');
  t.strictSame(
    [...after.pools.keys()].sort(),
    ['weave:10.3.0.0/16', 'weave:10.9.0.0/16'],
    'the pool of no network too',
  );
  t.strictSame(after.endpointsOf(hex(1)), state.endpointsOf(hex(1)), 'what is attached keeps its address');
  t.strictSame(
    held(rebuilt(state, [{ ...view, reserved: ['10.3.0.3'] }], known)).includes('10.3.0.3'),
    true,
    'auxiliary',
  );
});

t.test('rebuild: ports that the packet filter still has', async (t) => {
  const options = { 'works.weave.gateway': 'weave' };
  const view = seenNetwork({
    options,
    subnets: [
      { cidr: '10.3.0.0/16', gateway: '10.3.0.1', ours: true },
      { cidr: 'fd00:3::/64', gateway: 'fd00:3::1', ours: true },
    ],
    endpoints: [
      seenEndpoint(2, { addresses: ['10.3.0.2/16', 'fd00:3::2/64'], sandbox: '/sandbox/1' }),
      seenEndpoint(3, { container: { id: hex(0xc2), name: 'db' }, sandbox: '/sandbox/2' }),
    ],
  });
  const state = new State(SELF);
  state.apply(rebuild(state, { networks: [view] }, { now: 0, before: new Set() }));
  const port = { protocol: 'tcp', hostPort: 8080, port: 80 } as const;
  const one = { protocol: 'udp', hostAddress: '192.0.2.1', hostPort: 53, port: 53 } as const;
  const other = { ...one, hostAddress: 'fd00::1' };
  const onlyV4 = { ...port, hostAddress: '0.0.0.0', hostPort: 81 };
  state.apply(publishPorts(state, hex(2), [port, one, other, onlyV4]));
  const rules = desiredFirewall(state)!;
  // As the kernel shows them: the family says what `anywhere` is.
  const forwards = rules.ports.map((p) => ({ hostAddress: p.address.includes(':') ? '::' : '0.0.0.0', ...p }));
  t.equal(forwards.length, 5);
  const lost = new State(SELF);
  lost.apply(rebuild(lost, { networks: [view] }, { now: 0, before: new Set(), forwards }));
  t.strictSame(lost.endpoint(hex(2)).ports, [port, one, other, onlyV4], 'are published again');
  t.equal(lost.endpoint(hex(3)).ports, undefined);
  t.strictSame(desiredFirewall(lost), rules);
  const elsewhere = forwards.map((p) => ({ ...p, link: 'weavegwother' }));
  const without = new State(SELF);
  without.apply(rebuild(without, { networks: [view] }, { now: 0, before: new Set(), forwards: elsewhere }));
  t.equal(without.endpoint(hex(2)).ports, undefined, 'those of another network are not');
  t.strictSame(withLeftover(rules, { gateways: [], ports: elsewhere })!.ports, [...rules.ports, ...elsewhere]);
  t.strictSame([withLeftover(rules), withLeftover(undefined, rules), withLeftover()], [rules, rules, undefined]);
});

t.test('rebuild: random engines, lost altogether', async (t) => {
  const network = fc.record({
    ours: fc.boolean(),
    endpoints: fc.array(fc.boolean(), { maxLength: 8 }),
    range: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(network, { maxLength: 5 }), (networks) => {
      const views = networks.map(({ ours, endpoints, range }, n): NetworkView => {
        const cidr = `10.${n}.0.0/16`;
        const endpointOf = (joined: boolean, e: number): EndpointView => ({
          id: hex(0x1000 * (n + 1) + e),
          addresses: [`10.${n}.1.${e + 1}/16`],
          mac: `5a:77:0a:0${n}:01:0${e}`,
          container: web,
          ...(joined ? { sandbox: `/sandbox/${n}/${e}` } : {}),
        });
        return {
          ...{ id: hex(n + 1), name: `net${n}`, options: {}, internal: false, reserved: [`10.${n}.0.1`] },
          subnets: [{ cidr, gateway: `10.${n}.0.1`, ours }],
          endpoints: endpoints.map(endpointOf),
          ...(range && ours ? { range: { [cidr]: `10.${n}.1.0/24` } } : {}),
        };
      });
      const lost = new State(SELF);
      lost.apply(rebuild(lost, { networks: views }, { now: 0, before: new Set() }));
      return digest(lost) === digest(stateOf(...views));
    }),
  );
  t.pass('are what they were');
});
