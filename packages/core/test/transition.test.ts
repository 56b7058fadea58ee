import {
  attach,
  type Change,
  deleteEndpoint,
  desiredEndpoint,
  desiredNetwork,
  detach,
  leaveEndpoint,
  parseAddressRequest,
  removeNetwork,
  type State,
  transition,
} from '@weave/core';
import { render } from '@weave/core/testing';
import t from 'tap';
import { hex } from './given.ts';
import {
  attached,
  BLUE,
  engineEndpoint,
  golden,
  HOSTS,
  joined,
  OUT,
  other,
  readable,
  remote,
  type Step,
  stateOf,
  WEB,
} from './golden.ts';
import { SELF } from './world.ts';

t.test('transition', async (t) => {
  /** What a verb touches: what it changes, and of a remote endpoint the network. */
  const touched = (state: State, { table, id }: Change, before: State) => {
    const endpoint = state.endpoints.get(id) ?? before.endpoints.get(id);
    const network = state.networks.get(endpoint && endpoint.peer !== SELF ? endpoint.network : id);
    if (network) return desiredNetwork(state, network).resources;
    return table === 'endpoint' && state.endpoints.has(id) ? desiredEndpoint(state, state.endpoint(id)).resources : [];
  };
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
      before: HOSTS.slice(0, 3),
      verb: HOSTS[4]!,
      want: `
      bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      vxlan switch wx‹blue› (wb‹blue›) vni 10471862 port 4789 mtu 1430 local 192.0.2.1
      fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.2
      fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.2
      `,
    },
    {
      name: 'it has another one',
      before: [...HOSTS.slice(0, 3), HOSTS[4]!],
      verb: remote('blue', 4, other.id, '10.2.0.4/16'),
      want: `
      bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      vxlan switch wx‹blue› (wb‹blue›) vni 10471862 port 4789 mtu 1430 local 192.0.2.1
      fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.2
      fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.2
      fdb switch wx‹blue› 5a:77:00:00:00:04 → 192.0.2.2
      `,
    },
    {
      name: 'its last one goes',
      before: [...HOSTS.slice(0, 3), HOSTS[4]!],
      verb: (state) => deleteEndpoint(state, hex(3)),
      want: `
      delete link switch wx‹blue›
      bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      `,
    },
  ];
  for (const { name, before, verb, want } of table) {
    const state = stateOf(...before);
    const old = state.copy();
    const names = state.copy();
    const made = verb(state);
    const changes = Array.isArray(made) ? made : made.changes;
    state.apply(changes);
    for (const change of changes) if (change.record) names.apply([change]);
    const had = changes.flatMap((change) => touched(old, change, old));
    const has = changes.flatMap((change) => touched(state, change, old));
    const found = readable(render(transition(had, has)), names);
    t.equal(found, golden(want), name);
  }
});
