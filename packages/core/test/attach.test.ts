import {
  type AttachTarget,
  adoptNetwork,
  attach,
  attachmentOf,
  createNetwork,
  detach,
  formatCidr,
  isWeaveError,
  leaveEndpoint,
  nameNetwork,
  parseAddressRequest,
  requestAddress,
  requestPool,
  State,
} from '@weave/core';
import t from 'tap';
import { digest, SELF } from './world.ts';

const target = (n: number, container?: string): AttachTarget => ({
  path: `/proc/${n}/ns/net`,
  id: `4:${n}`,
  ...(container ? { container: { id: container, name: container } } : {}),
});

/** The network `blue`, of both families, and `dock`, whose addresses Docker hands out. */
function start(): State {
  const state = new State(SELF);
  const subnets = [{ cidr: '10.2.0.0/16' }, { cidr: 'fd02::/64' }];
  state.apply(createNetwork(state, { name: 'blue', subnets }, { now: 0 }).changes);
  const dock = { id: 'd'.repeat(64), name: 'dock', options: {}, internal: false };
  state.apply(adoptNetwork(state, { ...dock, subnets: [{ cidr: '172.30.0.0/16', ours: false }] }));
  return state;
}

interface Where {
  network?: string;
  on?: AttachTarget;
}

function put(state: State, addresses: string[], { network = 'blue', on = target(1) }: Where = {}): string[] {
  const { granted, changes } = attach(state, state.network(network), on, addresses.map(parseAddressRequest));
  state.apply(changes);
  return granted;
}

function take(state: State, addresses: string[], { network = 'blue', on = target(1) }: Where = {}): string[] {
  const endpoint = attachmentOf(state, state.network(network), on);
  const { removed, changes } = detach(state, endpoint, addresses.map(parseAddressRequest));
  state.apply(changes);
  return removed;
}

const has = (state: State, { network = 'blue', on = target(1) }: Where = {}) => [
  ...(attachmentOf(state, state.network(network), on)?.addresses ?? []),
];

/** What it answers, or the code of what it throws. */
function answer(work: () => string[]): string[] | string {
  try {
    return work();
  } catch (error) {
    if (!isWeaveError(error)) throw error;
    return error.code;
  }
}

t.test('forms of an address', async (t) => {
  const table: [text: string, result: string][] = [
    ['10.2.1.1/24', 'exact 10.2.1.1/24'],
    ['ip:10.2.1.1/24', 'exact 10.2.1.1/24'],
    ['fd02::1/64', 'exact fd02::1/64'],
    ['ip:FD02:0::1/64', 'exact fd02::1/64'],
    ['10.2.1.1/32', 'exact 10.2.1.1/32'],
    ['10.2.1.0/31', 'exact 10.2.1.0/31'],
    ['net:10.2.0.0/16', 'subnet 10.2.0.0/16'],
    ['net:10.2.1.4/30', 'subnet 10.2.1.4/30'],
    ['net:fd02::/64', 'subnet fd02::/64'],
    ['net:default', 'default'],
    ['10.2.1.1', 'WEAVE_INVALID_ADDRESS'],
    ['10.2.1.1/33', 'WEAVE_INVALID_ADDRESS'],
    ['10.2.1.0/24', 'WEAVE_INVALID_ADDRESS'],
    ['10.2.1.255/24', 'WEAVE_INVALID_ADDRESS'],
    ['fd02::/64', 'WEAVE_INVALID_ADDRESS'],
    ['010.2.1.1/24', 'WEAVE_INVALID_ADDRESS'],
    ['127.0.0.1/8', 'WEAVE_INVALID_ADDRESS'],
    ['0.0.0.1/8', 'WEAVE_INVALID_ADDRESS'],
    ['224.0.0.1/4', 'WEAVE_INVALID_ADDRESS'],
    ['255.255.255.254/8', 'WEAVE_INVALID_ADDRESS'],
    ['::1/64', 'WEAVE_INVALID_ADDRESS'],
    ['::ffff:10.2.1.1/120', 'WEAVE_INVALID_ADDRESS'],
    ['fe80::1/64', 'WEAVE_INVALID_ADDRESS'],
    ['ff02::1/64', 'WEAVE_INVALID_ADDRESS'],
    ['ip:', 'WEAVE_INVALID_ADDRESS'],
    ['ip:net:default', 'WEAVE_INVALID_ADDRESS'],
    ['default', 'WEAVE_INVALID_ADDRESS'],
    ['', 'WEAVE_INVALID_ADDRESS'],
    ['net:', 'WEAVE_INVALID_SUBNET'],
    ['net:10.2.1.1/24', 'WEAVE_INVALID_SUBNET'],
    ['net:10.2.0.0', 'WEAVE_INVALID_SUBNET'],
    ['net:10.2.1.0/31', 'WEAVE_INVALID_SUBNET'],
    ['net:10.2.1.1/32', 'WEAVE_INVALID_SUBNET'],
  ];
  for (const [text, result] of table) {
    const found = answer(() => {
      const request = parseAddressRequest(text);
      return [request.kind === 'default' ? 'default' : `${request.kind} ${formatCidr(request.cidr)}`];
    });
    t.equal(`${found}`, result, JSON.stringify(text));
  }
});

t.test('attach', async (t) => {
  const table: { name: string; before?: string[]; asks: string[]; gets: string[] | string; has?: string[] }[] = [
    { name: 'no address: one of each family', asks: [], gets: ['10.2.0.1/16', 'fd02::1/64'] },
    { name: 'net:default: the same', asks: ['net:default'], gets: ['10.2.0.1/16', 'fd02::1/64'] },
    { name: 'an address', asks: ['10.2.7.7/16'], gets: ['10.2.7.7/16'] },
    { name: 'an address of another length', asks: ['10.2.7.7/24'], gets: ['10.2.7.7/24'] },
    { name: 'an address outside', asks: ['192.0.2.1/24'], gets: ['192.0.2.1/24'] },
    { name: 'of a subnet', asks: ['net:10.2.0.0/16'], gets: ['10.2.0.1/16'] },
    { name: 'of a part of a subnet', asks: ['net:10.2.3.0/24'], gets: ['10.2.3.1/24'] },
    { name: 'of a part, never its ends', asks: ['net:10.2.3.4/30'], gets: ['10.2.3.5/30'] },
    { name: 'of an IPv6 subnet', asks: ['net:fd02::/64'], gets: ['fd02::1/64'] },
    {
      name: 'several at once, of which one is in the subnet asked for',
      asks: ['10.2.7.7/16', 'net:10.2.0.0/16', 'fd02::9/64'],
      gets: ['10.2.7.7/16', '10.2.7.7/16', 'fd02::9/64'],
      has: ['10.2.7.7/16', 'fd02::9/64'],
    },
    {
      name: 'asked for again: nothing changes',
      before: [],
      asks: [],
      gets: ['10.2.0.1/16', 'fd02::1/64'],
      has: ['10.2.0.1/16', 'fd02::1/64'],
    },
    {
      name: 'an address again',
      before: ['10.2.7.7/16'],
      asks: ['10.2.7.7/16'],
      gets: ['10.2.7.7/16'],
      has: ['10.2.7.7/16'],
    },
    {
      name: 'a subnet that it is in',
      before: ['10.2.7.7/16'],
      asks: ['net:10.2.0.0/16'],
      gets: ['10.2.7.7/16'],
      has: ['10.2.7.7/16'],
    },
    {
      name: 'a subnet that it is in with another length',
      before: ['10.2.3.7/16'],
      asks: ['net:10.2.3.0/24'],
      gets: ['10.2.3.1/24'],
      has: ['10.2.3.7/16', '10.2.3.1/24'],
    },
    {
      name: 'beside those that it has',
      before: ['10.2.7.7/16'],
      asks: ['10.2.7.8/16'],
      gets: ['10.2.7.8/16'],
      has: ['10.2.7.7/16', '10.2.7.8/16'],
    },
    {
      name: 'net:default beside one',
      before: ['10.2.7.7/16'],
      asks: [],
      gets: ['10.2.7.7/16', 'fd02::1/64'],
      has: ['10.2.7.7/16', 'fd02::1/64'],
    },
    {
      name: 'its own address with another length',
      before: ['10.2.7.7/16'],
      asks: ['10.2.7.7/24'],
      gets: 'WEAVE_ADDRESS_IN_USE',
      has: ['10.2.7.7/16'],
    },
    { name: 'somebody else’s', asks: ['10.2.9.9/16'], gets: 'WEAVE_ADDRESS_IN_USE' },
    { name: 'somebody else’s with another length', asks: ['10.2.9.9/24'], gets: 'WEAVE_ADDRESS_IN_USE' },
    { name: 'somebody else’s outside', asks: ['192.0.2.9/24'], gets: 'WEAVE_ADDRESS_IN_USE' },
    { name: 'an engine’s', asks: ['10.2.8.8/16'], gets: 'WEAVE_ADDRESS_IN_USE' },
    { name: 'the subnet’s own address', asks: ['10.2.0.0/15'], gets: 'WEAVE_INVALID_ADDRESS' },
    { name: 'a subnet outside', asks: ['net:10.9.0.0/16'], gets: 'WEAVE_INVALID_SUBNET' },
    { name: 'a subnet around it', asks: ['net:10.0.0.0/8'], gets: 'WEAVE_INVALID_SUBNET' },
    {
      name: 'one of several refused: none is given',
      asks: ['10.2.7.7/16', '10.2.9.9/16'],
      gets: 'WEAVE_ADDRESS_IN_USE',
    },
    {
      name: 'twice the same',
      asks: ['10.2.7.7/16', 'ip:10.2.7.7/16'],
      gets: ['10.2.7.7/16', '10.2.7.7/16'],
      has: ['10.2.7.7/16'],
    },
    { name: 'a window that is full', asks: ['net:10.2.9.8/30'], gets: ['10.2.9.10/30'] },
  ];
  for (const { name, before, asks, gets, has: left } of table) {
    const state = start();
    put(state, ['10.2.9.9/16', '192.0.2.9/24'], { on: target(9, 'nine') });
    state.apply(requestAddress(state, 'weave:10.2.0.0/16', '10.2.8.8').changes);
    if (before) put(state, before);
    const was = digest(state);
    t.strictSame(
      answer(() => put(state, asks)),
      gets,
      name,
    );
    t.strictSame(has(state), left ?? (typeof gets === 'string' ? [] : gets), `${name}: it has`);
    if (typeof gets === 'string') t.equal(digest(state), was, `${name}: nothing changed`);
    else
      t.strictSame(attach(state, state.network('blue'), target(1), asks.map(parseAddressRequest)).changes, [], 'again');
  }
});

t.test('attach: what it says', async (t) => {
  const state = start();
  put(state, ['10.2.9.9/16'], { on: target(9, 'nine') });
  t.throws(() => put(state, ['10.2.9.9/16']), { message: '10.2.9.9 on network blue is in use by container nine' });
  t.throws(() => put(state, ['net:10.9.0.0/16']), {
    message: '10.9.0.0/16 is not inside 10.2.0.0/16 or fd02::/64 of network blue',
  });
  for (const asks of [[], ['172.30.0.9/16'], ['net:172.30.0.0/16']])
    t.equal(
      answer(() => put(state, asks, { network: 'dock' })),
      'WEAVE_ENGINE_IPAM',
      `${asks}`,
    );
  t.strictSame(put(state, ['192.0.2.1/24'], { network: 'dock' }), ['192.0.2.1/24'], 'but for addresses of nobody’s');
});

t.test('attach: a pool that runs out', async (t) => {
  const state = new State(SELF);
  state.apply(createNetwork(state, { name: 'blue', subnets: [{ cidr: '10.2.0.0/30' }] }, { now: 0 }).changes);
  t.strictSame(put(state, [], { on: target(1) }), ['10.2.0.1/30']);
  t.strictSame(put(state, [], { on: target(2) }), ['10.2.0.2/30']);
  const before = digest(state);
  t.throws(() => put(state, [], { on: target(3) }), {
    code: 'WEAVE_POOL_EXHAUSTED',
    message: 'no address is free in 10.2.0.0/30 of network blue: 2 are in use',
  });
  t.equal(digest(state), before);
  take(state, [], { on: target(1) });
  t.strictSame(put(state, [], { on: target(3) }), ['10.2.0.1/30'], 'what was given back');
});

t.test('attach: who it is', async (t) => {
  const state = start();
  put(state, ['10.2.7.7/16'], { on: target(1, 'web') });
  const first = attachmentOf(state, state.network('blue'), target(1))!;
  t.match(first, {
    mac: '5a:77:0a:02:07:07',
    owner: 'weave',
    peer: SELF,
    sandbox: { kind: 'netns', path: '/proc/1/ns/net', id: '4:1', interface: 'ethwe-blue' },
    container: { id: 'web', name: 'web' },
  });
  put(state, ['10.2.7.8/16'], { on: { ...target(1), path: '/run/netns/web' } });
  const second = attachmentOf(state, state.network('blue'), target(1))!;
  t.equal(second.id, first.id, 'known by its namespace, whatever the path');
  t.strictSame(second.container, first.container, 'and still the container that it was');
  t.equal(second.mac, first.mac, 'a MAC stays');
  t.match(second.sandbox, { path: '/run/netns/web' });

  state.apply(leaveEndpoint(state, first.id));
  put(state, [], { on: target(2, 'web') });
  const third = attachmentOf(state, state.network('blue'), target(2))!;
  t.equal(third.id, first.id, 'known by its container, wherever it runs now');
  t.strictSame(third.addresses, ['10.2.7.7/16', '10.2.7.8/16', 'fd02::1/64'], 'with the addresses that it had');

  put(state, [], { on: target(2), network: 'blue' });
  t.equal(state.endpointsIn('4:2').length, 1);
  take(state, ['10.2.7.7/16'], { on: target(2) });
  put(state, ['10.2.7.7/16'], { on: target(3) });
  t.match(
    attachmentOf(state, state.network('blue'), target(3))?.mac,
    /^5e:/,
    'a MAC that stayed behind is not given twice',
  );
});

t.test('attach: an interface keeps its name', async (t) => {
  const state = new State(SELF);
  state.apply(requestPool(state, { family: 4, cidr: '10.2.0.0/16', now: 0 }).changes);
  const spec = { id: 'd'.repeat(64), subnets: [{ cidr: '10.2.0.0/16', ours: true }], options: {}, internal: false };
  state.apply(adoptNetwork(state, spec));
  put(state, [], { network: spec.id });
  const named = () => {
    const sandbox = attachmentOf(state, state.network(spec.id), target(1))?.sandbox;
    return sandbox?.kind === 'netns' ? sandbox.interface : undefined;
  };
  const before = named();
  state.apply(nameNetwork(state, spec.id, 'blue'));
  put(state, ['10.2.7.7/16'], { network: 'blue' });
  t.match(before, /^ethwe-[a-z2-7]{9}$/);
  t.equal(named(), before, 'when its network learns another');
});

t.test('detach', async (t) => {
  const all = ['10.2.7.7/16', '10.2.7.8/24', '192.0.2.1/24', 'fd02::7/64'];
  const table: { name: string; asks: string[]; removed: string[] }[] = [
    { name: 'everything', asks: [], removed: all },
    { name: 'an address', asks: ['10.2.7.7/16'], removed: ['10.2.7.7/16'] },
    { name: 'several', asks: ['ip:10.2.7.7/16', 'fd02::7/64'], removed: ['10.2.7.7/16', 'fd02::7/64'] },
    { name: 'of a subnet', asks: ['net:10.2.0.0/16'], removed: ['10.2.7.7/16'] },
    { name: 'of a part of it', asks: ['net:10.2.7.0/24'], removed: ['10.2.7.8/24'] },
    { name: 'net:default: those of its subnets', asks: ['net:default'], removed: ['10.2.7.7/16', 'fd02::7/64'] },
    { name: 'outside', asks: ['192.0.2.1/24'], removed: ['192.0.2.1/24'] },
    { name: 'with another length', asks: ['10.2.7.7/24'], removed: [] },
    { name: 'what it has not', asks: ['10.2.7.9/16'], removed: [] },
    { name: 'all, one by one', asks: [...all].reverse(), removed: all },
  ];
  for (const { name, asks, removed } of table) {
    const state = start();
    put(state, all);
    t.strictSame(take(state, asks), removed, name);
    const left = all.filter((text) => !removed.includes(text));
    t.strictSame(has(state), left, `${name}: it has`);
    t.equal(state.endpoints.size, left.length > 0 ? 1 : 0, `${name}: gone with its last address`);
    t.strictSame(take(state, asks), [], `${name}: twice`);
    const taken = [...state.poolIndex('weave:10.2.0.0/16').taken].length;
    t.equal(taken, left.filter((text) => text.startsWith('10.2.')).length, `${name}: what it had is free`);
  }
  const state = start();
  t.strictSame(take(state, []), [], 'who is not attached');
});
