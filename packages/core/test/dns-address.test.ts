import {
  type Change,
  dnsAddressFor,
  dnsHeir,
  joinEndpoint,
  leaveEndpoint,
  nameEndpoint,
  type State,
  unitsAt,
  withoutDns,
} from '@weave/core';
import { render } from '@weave/core/testing';
import t from 'tap';
import { bridgeName } from '../src/names.ts';
import { hex } from './given.ts';
import {
  attached,
  BLUE,
  BOTH,
  engineEndpoint,
  golden,
  kernelFor,
  network,
  planned,
  readable,
  SANDBOX,
  type Step,
  stateOf,
  WEB,
  withoutSwitch,
} from './golden.ts';
import { SELF } from './world.ts';

const DNS: Step = () => [{ table: 'self', id: 'self', record: { peer: SELF, domain: 'weave.local' } }];
const RED = network('red', ['10.4.0.0/16']);

t.test('desired: the address on each bridge, the way back, and the way there', async (t) => {
  const state = stateOf(DNS, ...BOTH, RED, attached('red', WEB, '10.9.0.1/24'));
  t.equal(
    readable(withoutSwitch(render(state)), state),
    golden(`
      network/blue
        bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
        sysctl switch net/ipv6/conf/wb‹blue›/addr_gen_mode 1
        sysctl switch net/ipv6/conf/wb‹blue›/accept_ra 0
        sysctl switch net/ipv6/conf/wb‹blue›/disable_ipv6 0
        sysctl switch net/ipv4/conf/wb‹blue›/rp_filter 1
        address switch wb‹blue› 169.254.53.53/32
        address switch wb‹blue› fd77:6561:7665:53::53/128
        route switch wb‹blue› 10.2.0.0/16
        route switch wb‹blue› fd02::/64
      network/red
        bridge switch wb‹red› 52:e2:69:ba:08:1d mtu 1430 "weave red 10.4.0.0/16"
        sysctl switch net/ipv4/conf/wb‹red›/rp_filter 1
        address switch wb‹red› 169.254.53.53/32
        route switch wb‹red› 10.4.0.0/16
      endpoint/web
        veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
        address /proc/1/ns/net ethwe-blue 10.2.0.1/16
        address /proc/1/ns/net ethwe-blue fd02::1/64
        route /proc/1/ns/net ethwe-blue 169.254.53.53/32 if absent
        route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      endpoint/e2
        veth switch wv‹e2› (wb‹blue›, up) ↔ host wh‹e2› 5a:77:0a:02:00:09 (down) mtu 1430
      endpoint/web
        veth switch wv‹web› (wb‹red›, up) ↔ /proc/1/ns/net ethwe-red 5a:77:0a:09:00:01 (up) mtu 1430
        address /proc/1/ns/net ethwe-red 10.9.0.1/24
        route /proc/1/ns/net ethwe-red 169.254.53.53/32 if absent
        route switch wb‹red› 10.9.0.1/32 if absent
        route /proc/1/ns/net ethwe-red 224.0.0.0/4 if absent
      `),
  );
});

t.test('a kernel that has it needs nothing; one that lost it gets it again', async (t) => {
  const state = stateOf(DNS, BLUE, attached('blue'));
  const kernel = await kernelFor(state);
  t.same(await planned(state, kernel), []);
  const link = bridgeName(state.network('blue').id);
  await kernel.apply([
    [
      { op: 'deleteAddress', netns: 'switch', link, address: '169.254.53.53/32' },
      { op: 'deleteRoute', netns: 'switch', link, destination: '10.2.0.0/16' },
      { op: 'deleteRoute', netns: WEB, link: 'ethwe-blue', destination: '169.254.53.53/32' },
    ],
  ]);
  const repairs = (await planned(state, kernel)).flatMap(({ why }) => why).sort();
  t.match(repairs, [
    `${WEB} ethwe-blue route 169.254.53.53/32 is missing`,
    /address 169.254.53.53\/32 is missing/,
    /route 10.2.0.0\/16 is missing/,
  ]);
  t.ok(unitsAt(state, [link]).length > 0);
  // What turns IPv6 off everywhere takes the address along.
  await kernel.apply([[{ op: 'setSysctl', netns: 'switch', key: 'net/ipv6/conf/all/disable_ipv6', value: '0' }]]);
  const ops = (await planned(state, kernel)).flatMap((batch) => batch.ops);
  t.match(
    ops.filter((op) => op.op === 'addAddress' && op.address.includes(':')),
    [{ address: 'fd77:6561:7665:53::53/128' }],
    'so it is asked for again',
  );
});

t.test('one family: IPv4 where it has that, IPv6 where the network answers over it', async (t) => {
  const state = stateOf(DNS, BLUE, RED);
  const of = (name: string, ...addresses: string[]) =>
    dnsAddressFor(state, {
      ...{ id: hex(9), network: state.network(name).id, peer: SELF, addresses, mac: '', owner: 'weave' },
    });
  t.equal(of('blue', '10.2.0.5/16', 'fd02::5/64'), '169.254.53.53');
  t.equal(of('blue', 'fd02::5/64'), 'fd77:6561:7665:53::53');
  t.equal(of('red', 'fd02::5/64'), undefined);
  t.equal(of('red', '10.9.0.1/24'), '169.254.53.53');
});

const leads = (state: State) =>
  [...state.endpoints.values()].filter(({ sandbox }) => sandbox?.kind === 'engine' && sandbox.dns).map(({ id }) => id);

t.test('a sandbox has the route once; when its interface goes, another one gets it', async (t) => {
  const state = stateOf(
    DNS,
    BLUE,
    RED,
    engineEndpoint('blue', 1, '10.2.0.1/16'),
    engineEndpoint('red', 2, '10.4.0.2/16'),
  );
  state.apply(joinEndpoint(state, hex(1), SANDBOX).changes);
  state.apply(joinEndpoint(state, hex(2), SANDBOX).changes);
  t.same(leads(state), [hex(1)], 'the first to join');
  t.same(joinEndpoint(state, hex(1), SANDBOX).changes, [
    { table: 'endpoint', id: hex(1), record: state.endpoint(hex(1)) },
  ]);
  t.equal(dnsHeir(state, state.endpoint(hex(2))), undefined, 'who has it not leaves nothing');
  t.equal(dnsHeir(state, state.endpoint(hex(1)))?.id, hex(2));
  state.apply(leaveEndpoint(state, hex(1)));
  t.same(
    withoutDns(state).map(({ id }) => id),
    [hex(2)],
    'until it has it',
  );
  t.equal(dnsHeir(state, state.endpoint(hex(1))), undefined, 'who has left already');
});

t.test('beside an attachment of the same namespace', async (t) => {
  const state = stateOf(DNS, BLUE, RED, attached('blue'), engineEndpoint('red', 2, '10.4.0.2/16'));
  const [web] = [...state.endpoints.values()];
  const { endpoint } = joinEndpoint(state, hex(2), SANDBOX, `4:${WEB}`);
  t.match(
    endpoint.sandbox,
    { kind: 'engine', multicast: false, dns: undefined },
    'the engine would find both routes there',
  );
  const plain = joinEndpoint(state, hex(2), SANDBOX);
  t.match(plain.endpoint.sandbox, { kind: 'engine', multicast: true, dns: true }, 'in another');
  state.apply(plain.changes);
  const container = { id: hex(77), name: 'web' };
  state.apply([
    ...nameEndpoint(state, hex(2), container),
    { table: 'endpoint', id: web!.id, record: { ...web!, container } },
  ] satisfies Change[]);
  t.equal(dnsHeir(state, state.endpoint(hex(2)))?.id, web!.id, 'the container tells that they are together');
});

t.test('without a domain there is nothing of it', async (t) => {
  const state = stateOf(...BOTH);
  t.notMatch(render(state), /169\.254|fd77/);
  t.same(leads(state), []);
  t.same(withoutDns(state), []);
});
