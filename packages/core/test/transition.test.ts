import {
  attach,
  type Change,
  consequences,
  deleteEndpoint,
  detach,
  leaveEndpoint,
  parseAddressRequest,
  removeNetwork,
  touched,
  transition,
} from '@weave/core';
import { render } from '@weave/core/testing';
import t from 'tap';
import { hex } from './given.ts';
import {
  attached,
  BLUE,
  engineEndpoint,
  FOREIGN,
  golden,
  HOSTS,
  joined,
  OUT,
  other,
  peer,
  readable,
  remote,
  type Step,
  stateOf,
  WEB,
} from './golden.ts';

t.test('transition', async (t) => {
  const third = { id: 'e'.repeat(32), name: 'h3', underlay: '192.0.2.3' };
  const table: { name: string; before: Step[]; verb: Step; want: string }[] = [
    {
      name: 'a network',
      before: [],
      verb: BLUE,
      want: `
      bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      `,
    },
    {
      name: 'a network goes',
      before: [BLUE],
      verb: (state) => removeNetwork(state, 'blue'),
      want: `
      delete link switch wb‹blue›
      `,
    },
    {
      name: 'a network with a way out goes',
      before: [OUT[0]!],
      verb: (state) => removeNetwork(state, 'out'),
      want: `
      retire link switch wu‹out›
      delete link switch wb‹out›
      `,
    },
    {
      name: 'attach',
      before: [BLUE],
      verb: attached('blue'),
      want: `
      veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
      address /proc/1/ns/net ethwe-blue 10.2.0.1/16
      address /proc/1/ns/net ethwe-blue fd02::1/64
      route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'attach again',
      before: [BLUE, attached('blue')],
      verb: (state) => [
        { table: 'endpoint', id: state.endpointsIn(`4:${WEB}`)[0]!.id, record: state.endpointsIn(`4:${WEB}`)[0]! },
      ],
      want: `
      veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
      address /proc/1/ns/net ethwe-blue 10.2.0.1/16
      address /proc/1/ns/net ethwe-blue fd02::1/64
      route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'attach one more address',
      before: [BLUE, attached('blue', WEB, '10.2.7.7/16')],
      verb: attached('blue', WEB, '10.2.7.8/16'),
      want: `
      veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:07:07 (up) mtu 1430
      address /proc/1/ns/net ethwe-blue 10.2.7.7/16
      address /proc/1/ns/net ethwe-blue 10.2.7.8/16
      route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'attach by another path to the same namespace',
      before: [BLUE, attached('blue', WEB, '10.2.7.7/16')],
      verb: (state) => attach(state, state.network('blue'), { path: '/run/netns/web', id: `4:${WEB}` }, []),
      want: `
      veth switch wv‹web› (wb‹blue›, up) ↔ /run/netns/web ethwe-blue 5a:77:0a:02:07:07 (up) mtu 1430
      address /run/netns/web ethwe-blue 10.2.7.7/16
      address /run/netns/web ethwe-blue fd02::1/64
      route /run/netns/web ethwe-blue 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'detach one address',
      before: [BLUE, attached('blue', WEB, '10.2.7.7/16', '10.2.7.8/16')],
      verb: (state) => detach(state, state.endpointsIn(`4:${WEB}`)[0], [parseAddressRequest('10.2.7.7/16')]),
      want: `
      veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:07:07 (up) mtu 1430
      delete address /proc/1/ns/net ethwe-blue 10.2.7.7/16
      address /proc/1/ns/net ethwe-blue 10.2.7.8/16
      route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'detach',
      before: [BLUE, attached('blue')],
      verb: (state) => detach(state, state.endpointsIn(`4:${WEB}`)[0], []),
      want: `
      retire link switch wv‹web›
      `,
    },
    {
      name: 'join',
      before: [BLUE, engineEndpoint('blue', 2, '10.2.0.9/16')],
      verb: joined(2),
      want: `
      veth switch wv‹e2› (wb‹blue›, up) ↔ host wh‹e2› 5a:77:0a:02:00:09 (down) mtu 1430
      `,
    },
    {
      name: 'join again: the engine has not taken it yet',
      before: [BLUE, engineEndpoint('blue', 2, '10.2.0.9/16'), joined(2)],
      verb: joined(2),
      want: `
      veth switch wv‹e2› (wb‹blue›, up) ↔ host wh‹e2› 5a:77:0a:02:00:09 (down) mtu 1430
      `,
    },
    {
      name: 'leave',
      before: [BLUE, engineEndpoint('blue', 2, '10.2.0.9/16'), joined(2)],
      verb: (state) => leaveEndpoint(state, hex(2)),
      want: `
      retire link switch wv‹e2›
      `,
    },
    {
      name: 'delete',
      before: [BLUE, engineEndpoint('blue', 2, '10.2.0.9/16'), joined(2)],
      verb: (state) => deleteEndpoint(state, hex(2)),
      want: `
      retire link switch wv‹e2›
      `,
    },
    {
      name: 'another host has its first endpoint',
      before: HOSTS.slice(0, 4),
      verb: HOSTS[4]!,
      want: `
      bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      vxlan switch wx‹blue› (wb‹blue›) vni 10471862 port 4789 mtu 1430 local 192.0.2.1
      sysctl switch net/ipv6/conf/wb‹blue›/addr_gen_mode 1
      sysctl switch net/ipv6/conf/wb‹blue›/accept_ra 0
      sysctl switch net/ipv6/conf/wb‹blue›/disable_ipv6 0
      fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.2
      fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.2
      neighbour switch wb‹blue› 10.2.0.3 5a:77:00:00:00:03
      neighbour switch wb‹blue› 10.2.0.1 5a:77:0a:02:00:01
      neighbour switch wb‹blue› fd02::1 5a:77:0a:02:00:01
      `,
    },
    {
      name: 'it has another one',
      before: [...HOSTS.slice(0, 4), HOSTS[4]!],
      verb: remote('blue', 4, other.id, '10.2.0.4/16'),
      want: `
      fdb switch wx‹blue› 5a:77:00:00:00:04 → 192.0.2.2
      neighbour switch wb‹blue› 10.2.0.4 5a:77:00:00:00:04
      `,
    },
    {
      name: 'its last one goes',
      before: [...HOSTS.slice(0, 4), HOSTS[4]!],
      verb: (state) => deleteEndpoint(state, hex(3)),
      want: `
      delete link switch wx‹blue›
      bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      delete neighbour switch wb‹blue› fd02::1 5a:77:0a:02:00:01
      delete neighbour switch wb‹blue› 10.2.0.1 5a:77:0a:02:00:01
      delete neighbour switch wb‹blue› 10.2.0.3 5a:77:00:00:00:03
      `,
    },
    {
      name: 'an endpoint of another host is on a third one now',
      before: [...HOSTS, peer(third)],
      verb: remote('blue', 3, third.id, '10.2.0.3/16'),
      want: `
      bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      vxlan switch wx‹blue› (wb‹blue›) vni 10471862 port 4789 mtu 1430 local 192.0.2.1
      delete fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.2
      sysctl switch net/ipv6/conf/wb‹blue›/addr_gen_mode 1
      sysctl switch net/ipv6/conf/wb‹blue›/accept_ra 0
      sysctl switch net/ipv6/conf/wb‹blue›/disable_ipv6 0
      fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.3
      fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.3
      neighbour switch wb‹blue› 10.2.0.3 5a:77:00:00:00:03
      `,
    },
    {
      name: 'the first endpoint here of a network that others made',
      before: [...FOREIGN, remote('blue', 3, other.id, '10.2.0.3/16')],
      verb: engineEndpoint('blue', 2, '10.2.0.9/16'),
      want: `
      bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      vxlan switch wx‹blue› (wb‹blue›) vni 10471862 port 4789 mtu 1430 local 192.0.2.1
      sysctl switch net/ipv6/conf/wb‹blue›/addr_gen_mode 1
      sysctl switch net/ipv6/conf/wb‹blue›/accept_ra 0
      sysctl switch net/ipv6/conf/wb‹blue›/disable_ipv6 0
      fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.2
      neighbour switch wb‹blue› 10.2.0.9 5a:77:0a:02:00:09
      fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.2
      neighbour switch wb‹blue› 10.2.0.3 5a:77:00:00:00:03
      `,
    },
    {
      name: 'the last one goes',
      before: [...FOREIGN, remote('blue', 3, other.id, '10.2.0.3/16'), engineEndpoint('blue', 2, '10.2.0.9/16')],
      verb: (state) => deleteEndpoint(state, hex(2)),
      want: `
      delete link switch wx‹blue›
      delete link switch wb‹blue›
      `,
    },
    {
      name: 'another host is elsewhere now',
      before: HOSTS,
      verb: peer({ ...other, underlay: '192.0.2.9' }),
      want: `
      bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      vxlan switch wx‹blue› (wb‹blue›) vni 10471862 port 4789 mtu 1430 local 192.0.2.1
      delete fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.2
      sysctl switch net/ipv6/conf/wb‹blue›/addr_gen_mode 1
      sysctl switch net/ipv6/conf/wb‹blue›/accept_ra 0
      sysctl switch net/ipv6/conf/wb‹blue›/disable_ipv6 0
      fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.9
      neighbour switch wb‹blue› 10.2.0.1 5a:77:0a:02:00:01
      neighbour switch wb‹blue› fd02::1 5a:77:0a:02:00:01
      fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.9
      neighbour switch wb‹blue› 10.2.0.3 5a:77:00:00:00:03
      `,
    },
  ];
  for (const { name, before, verb, want } of table) {
    const state = stateOf(...before);
    const old = state.copy();
    const names = state.copy();
    const made = verb(state);
    const changes = Array.isArray(made) ? made : made.changes;
    const ids = (of: Change['table']) => changes.filter(({ table }) => table === of).map(({ id }) => id);
    const about = { networks: ids('network'), endpoints: ids('endpoint') };
    const also = consequences(state, changes);
    state.apply(changes);
    for (const change of changes) if (change.record) names.apply([change]);
    const ops = transition(touched(old, about, also), touched(state, about, also));
    const found = readable(render(ops), names);
    t.equal(found, golden(want), name);
  }
});

t.test('one endpoint of another host costs itself, however many there are', async (t) => {
  const state = stateOf(...HOSTS);
  const seen = { ...state.endpoint(hex(3)) };
  for (let n = 100; n < 10_100; n++) {
    const addresses = [`10.2.${n >> 8}.${n & 255}/16`];
    state.apply([{ table: 'endpoint', id: hex(n), record: { ...seen, id: hex(n), addresses, mac: macOf(n) } }]);
  }
  const come: Change = {
    table: 'endpoint',
    id: hex(99),
    record: { ...seen, id: hex(99), addresses: [], mac: macOf(9) },
  };
  for (const change of [come, { table: 'endpoint', id: hex(100), record: null } as const])
    t.strictSame(consequences(state, [change]), { networks: new Set(), endpoints: new Set([change.id]) });
});

const macOf = (n: number) =>
  `5a:77:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`;
