import {
  adoptNetwork,
  consequences,
  createEndpoint,
  deleteEndpoint,
  desiredFirewall,
  gatewayName,
  joinEndpoint,
  leaveEndpoint,
  nameEndpoint,
  publishPorts,
  releaseAddress,
  removeNetwork,
} from '@weave/core';
import t from 'tap';
import { hex, lease, network, pool, refusal, start, take } from './given.ts';
import { digest, SELF } from './world.ts';

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

  await t.test('hold their addresses, also where the engine’s lease was given up meanwhile', async (t) => {
    const state = fresh();
    const id = 'weave:10.3.0.0/16';
    t.equal(lease(state, id), '10.3.0.1/16');
    take(state, createEndpoint(state, { ...spec, addresses: ['10.3.0.1/16', '192.0.2.1/24'] }));
    t.strictSame([...state.leases.keys()], [`${id} 10.3.0.1`], 'one that is there is taken for its own');
    take(state, createEndpoint(state, { ...spec, id: hex(2) }));
    t.equal(lease(state, id), '10.3.0.3/16', 'one that is not is taken again');
    state.apply(deleteEndpoint(state, hex(2)));
    state.apply(releaseAddress(state, id, '10.3.0.2'));
    t.equal(lease(state, id), '10.3.0.2/16', 'and is the engine’s to give back');
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
      if (consequences(state, decided.changes).networks.size > 0) opened.push(n);
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
