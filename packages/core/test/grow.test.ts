import {
  admitted,
  adoptNetwork,
  bridgeName,
  type Cidr,
  caughtUp,
  cellOf,
  cidr,
  contains,
  covers,
  createEndpoint,
  createNetwork,
  desiredNetwork,
  formatAddress,
  formatCidr,
  freeCell,
  growNetwork,
  joinEndpoint,
  learnDefinitions,
  networkAlias,
  networkOf,
  networkOfAlias,
  outgrown,
  overlaps,
  partsOf,
  requestPool,
  resize,
  type State,
  sizeOf,
  transition,
} from '@weave/core';
import { render } from '@weave/core/testing';
import fc from 'fast-check';
import t from 'tap';
import { hex, lease, MINUTE, network, refusal, start, take } from './given.ts';
import { attached, golden, kernelFor, planned, readable, SANDBOX, stateOf, network as with_ } from './golden.ts';

const grow = (state: State, name: string, text: string) => take(state, growNetwork(state, name, text, 0)).network;
const blue = (state: State, text: string, more = {}) =>
  network(state, { name: 'blue', subnets: [{ cidr: text, ...more }] });

t.test('a subnet is made larger', async (t) => {
  const state = start();
  const { vni } = blue(state, '10.9.1.0/24', { gateway: '10.9.1.1' });
  network(state, { name: 'red', subnets: [{ cidr: '10.9.4.0/24' }] });
  lease(state, 'weave:10.9.1.0/24');
  const grown = grow(state, 'blue', '10.9.0.0/23');
  t.match(grown, { vni, subnets: [{ cidr: '10.9.0.0/23', gateway: '10.9.1.1', pool: 'weave:10.9.1.0/24' }] });
  t.match(state.pools.get('weave:10.9.1.0/24'), { cidr: '10.9.0.0/23', grownFrom: ['10.9.1.0/24'] });
  t.equal(lease(state, 'weave:10.9.1.0/24'), '10.9.0.1/23', 'the lowest that is free is handed out');
  t.equal(
    refusal(() => lease(state, 'weave:10.9.1.0/24', '10.9.1.2')),
    'WEAVE_ADDRESS_IN_USE',
    'what was handed out before is taken',
  );
  t.same(growNetwork(state, 'blue', '10.9.0.0/23', 0).changes, [], 'what is so already is a success');
  const code = (text: string, name = 'blue') => refusal(() => growNetwork(state, name, text, 0));
  t.equal(code('10.9.0.0/21'), 'WEAVE_SUBNET_OVERLAP', 'another network is there');
  t.equal(code('10.9.1.0/24'), 'WEAVE_INVALID_SUBNET', 'never smaller');
  t.equal(code('10.10.0.0/16'), 'WEAVE_INVALID_SUBNET', 'it is not in there');
  t.equal(code('10.9.0.1/22'), 'WEAVE_INVALID_SUBNET', 'no subnet');
  t.equal(code('10.9.0.0/22', 'none'), 'WEAVE_NETWORK_NOT_FOUND');
  network(state, { name: 'pair', subnets: [{ cidr: '10.8.0.0/31' }] });
  network(state, { name: 'two', subnets: [{ cidr: '10.7.0.0/24' }, { cidr: '10.7.1.0/24' }] });
  t.equal(code('10.8.0.0/30', 'pair'), 'WEAVE_INVALID_SUBNET', 'all of its addresses are hosts’');
  t.equal(code('10.7.0.0/23', 'two'), 'WEAVE_SUBNET_OVERLAP', 'another subnet of its own is there');
});

t.test('what is left over of a grown subnet is not what is made anew', async (t) => {
  const leftOver = () => {
    const state = start();
    blue(state, '10.9.1.0/24');
    const { id } = grow(state, 'blue', '10.9.0.0/23');
    state.apply([{ table: 'network', id, record: null }]);
    return state;
  };
  const options = { 'works.weave.gateway': 'weave' };
  const made = (...texts: string[]) => {
    const state = leftOver();
    const subnets = texts.map((text) => ({ cidr: text }));
    return { ...take(state, createNetwork(state, { name: 'red', subnets, options }, { now: MINUTE })), state };
  };
  t.match(made('10.9.1.0/24').network.subnets, [{ gateway: '10.9.1.1' }], 'its gateway is in it');
  const { state } = made('10.9.1.0/24', '10.9.0.0/24');
  t.same([...state.pools.keys()], ['weave:10.9.1.0/24', 'weave:10.9.0.0/24'], 'both of what has been its halves');
});

t.test('an engine goes on calling it what it was', async (t) => {
  const state = start();
  const { id } = blue(state, '10.9.0.0/24');
  grow(state, 'blue', '10.9.0.0/23');
  grow(state, 'blue', '10.9.0.0/20');
  const asked = (text: string) => requestPool(state, { family: 4, cidr: text, network: 'blue', now: 0 }).pool.id;
  for (const text of ['10.9.0.0/24', '10.9.0.0/23', '10.9.0.0/20']) {
    t.equal(asked(text), 'weave:10.9.0.0/24');
    const spec = { id: hex(7), subnets: [{ cidr: text, ours: true }], options: {}, internal: false };
    t.same(adoptNetwork(state, spec), [{ table: 'binding', id: hex(7), record: { id: hex(7), network: id } }]);
  }
  t.equal(
    refusal(() => asked('10.9.0.0/22')),
    'WEAVE_INVALID_SUBNET',
  );
});

t.test('where the engine hands addresses out, it is the engine’s to grow', async (t) => {
  const state = start();
  const subnets = [{ cidr: '10.9.0.0/24', ours: false }];
  state.apply(adoptNetwork(state, { id: hex(7), name: 'blue', subnets, options: {}, internal: false }));
  t.equal(
    refusal(() => growNetwork(state, 'blue', '10.9.0.0/23', 0)),
    'WEAVE_ENGINE_IPAM',
  );
});

t.test('what is attached follows, where it is', async (t) => {
  const state = stateOf(
    with_('out', ['10.3.0.0/24', 'fd03::/112'], { 'works.weave.gateway': 'weave' }),
    attached('out'),
    attached('out', SANDBOX, '10.3.0.9/24', 'net:10.3.0.16/28', '10.3.9.7/24'),
  );
  const kernel = await kernelFor(state);
  const unit = desiredNetwork(state, state.network('out')).resources;
  const before = partsOf(state, [state.network('out').id]);
  for (const text of ['10.3.0.0/23', 'fd03::/104']) grow(state, 'out', text);
  const after = partsOf(state, [state.network('out').id]);
  const ops = resize(before, after);
  t.equal(
    readable(render(ops.flat()), state),
    golden(`
      set far end of switch wu‹out› in host 10.3.0.1/23
      set far end of switch wu‹out› in host fd03::1/104
      set far end of switch wv‹web› in /sandbox/1 10.3.0.9/23
      set far end of switch wv‹web› in /proc/1/ns/net 10.3.0.2/23
      set far end of switch wv‹web› in /proc/1/ns/net fd03::2/104
      `),
    'each by itself; a part of the subnet stays that part',
  );
  await kernel.apply([...ops, transition(unit, desiredNetwork(state, state.network('out')).resources)]);
  t.equal(readable(render(await planned(state, kernel)), state), '', 'and nothing is left to do');
  t.equal(
    refusal(() => growNetwork(state, 'out', '10.3.0.0/20', 0)),
    'WEAVE_ADDRESS_IN_USE',
    'not around what is in no subnet of it',
  );
});

t.test('what an engine set up is caught up with', async (t) => {
  const state = start();
  const { id } = blue(state, '10.9.0.0/24');
  lease(state, 'weave:10.9.0.0/24', '10.9.0.5');
  take(state, createEndpoint(state, { id: hex(1), network: id, addresses: ['10.9.0.5/24'] }));
  t.same(outgrown(state), []);
  grow(state, 'blue', '10.9.0.0/23');
  t.same(outgrown(state), [], 'it is nowhere yet');
  take(state, joinEndpoint(state, hex(1), '/sandbox/1'));
  const [due] = outgrown(state);
  t.match(due, { from: '10.9.0.5/24', to: '10.9.0.5/23', op: { op: 'setPeer', peer: '/sandbox/1' } });
  state.apply(caughtUp(state, due!));
  t.same([outgrown(state), caughtUp(state, due!)], [[], []], 'once');
  const again = createEndpoint(state, { id: hex(1), network: id, addresses: ['10.9.0.5/24'] });
  t.same(again.changes, [], 'an engine that calls again says what it was told');
});

t.test('other hosts learn of it', async (t) => {
  const [here, there] = [stateOf(with_('blue', ['10.9.0.0/24']), attached('blue')), start()];
  blue(there, '10.9.0.0/24');
  const shared = (state: State) => ({ networks: [...state.networks.values()], pools: [...state.pools.values()] });
  const old = shared(here);
  grow(there, 'blue', '10.9.0.0/23');
  here.apply(learnDefinitions(here, shared(there)));
  t.same(shared(here), shared(there));
  t.same([...here.endpoints.values()][0]?.addresses, ['10.9.0.1/23']);
  t.equal(
    refusal(() => lease(here, 'weave:10.9.0.0/24', '10.9.0.1')),
    'WEAVE_ADDRESS_IN_USE',
  );
  const { added } = admitted(here, old, 'anew');
  t.same(
    added.map(({ record }) => (record && 'subnets' in record ? record.subnets[0]?.cidr : record?.cidr)),
    ['10.9.0.0/23', '10.9.0.0/23'],
    'who has not heard of it and told a directory made anew first is told',
  );
  t.same(admitted(there, shared(here), 'first').added, [], 'one that comes with what it was is let in');
});

t.test('the kernel tells of it, where the records are lost', async (t) => {
  const state = start();
  const { id } = blue(state, '10.9.0.0/24', { gateway: '10.9.0.1' });
  for (const text of ['10.9.0.0/23', '10.9.0.0/20']) grow(state, 'blue', text);
  const alias = networkAlias(state, state.network('blue'))!;
  t.equal(alias, 'weave blue 10.9.0.0/20,gateway=10.9.0.1,from=10.9.0.0/24+10.9.0.0/23');
  const again = start();
  const name = bridgeName(id);
  const link = { name, kind: 'bridge', mac: '', mtu: 1430, up: true, alias };
  again.apply(networkOfAlias(again, link));
  t.same(again.records(), state.records());
});

/** Of both families, each inside the next. */
const grids = fc
  .record({
    isSix: fc.boolean(),
    host: fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }),
    lengths: fc.uniqueArray(fc.integer({ min: 8, max: 30 }), { minLength: 1, maxLength: 4 }),
  })
  .map(({ isSix, host, lengths }) => {
    const parts = lengths
      .sort((a, b) => b - a)
      .map(
        (n): Cidr =>
          networkOf(
            isSix
              ? { family: 6, value: (0xfdn << 120n) + host, length: n + 96 }
              : { family: 4, value: host, length: n },
          ),
      );
    return { cidr: parts.at(-1)!, grownFrom: parts.slice(0, -1) };
  });

t.test('cells of a pool that grows never overlap, and those of before stay', async (t) => {
  const at = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });
  fc.assert(
    fc.property(grids, fc.array(at, { minLength: 2, maxLength: 12 }), (grid, places) => {
      const addresses = places.map((n) => ({
        family: grid.cidr.family,
        value: grid.cidr.value + (n % sizeOf(grid.cidr)),
      }));
      const near = grid.grownFrom.map(({ family, value, length }) => ({
        family,
        value: value + sizeOf({ family, value, length }),
      }));
      const all = [...addresses, ...near.filter((addr) => contains(grid.cidr, addr))];
      const cells = all.map((addr) => cellOf(grid, addr));
      for (const [index, cell] of cells.entries()) {
        if (!contains(cell, all[index]!) || !covers(grid.cidr, cell))
          throw new Error(`${formatCidr(cell)} is not around ${formatAddress(all[index]!)}`);
        for (const other of cells)
          if (overlaps(cell, other) && formatCidr(cell) !== formatCidr(other))
            throw new Error(`${formatCidr(cell)} and ${formatCidr(other)}`);
      }
      const before = { cidr: grid.grownFrom.at(-1) ?? grid.cidr, grownFrom: grid.grownFrom.slice(0, -1) };
      for (const addr of all.filter((each) => contains(before.cidr, each)))
        if (formatCidr(cellOf(before, addr)) !== formatCidr(cellOf(grid, addr)))
          throw new Error('another cell than before');
    }),
    { numRuns: 3000 },
  );
  const grid = { cidr: cidr('10.9.0.0/22'), grownFrom: [cidr('10.9.1.0/28'), cidr('10.9.1.0/24')] };
  const owned = new Set<string>();
  for (let cell = freeCell(grid, grid.cidr, owned); cell; cell = freeCell(grid, grid.cidr, owned))
    owned.add(formatCidr(cell));
  const sum = [...owned].reduce((all, text) => all + sizeOf(cidr(text)), 0n);
  t.equal(sum, 1024n, 'taken one after the other they are all of it');
});
