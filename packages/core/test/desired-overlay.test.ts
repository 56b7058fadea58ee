import type { State } from '@weave/core';
import { render } from '@weave/core/testing';
import t from 'tap';
import {
  attached,
  BLUE,
  engineEndpoint,
  FOREIGN,
  golden,
  network,
  other,
  peer,
  readable,
  remote,
  stateOf,
  withoutSwitch,
} from './golden.ts';
import { SELF } from './world.ts';

t.test('desired: networks on several hosts', async (t) => {
  const table: { name: string; state: State; want: string }[] = [
    {
      name: 'two hosts',
      state: stateOf(
        peer({ id: SELF, name: 'h1', underlay: '192.0.2.1' }),
        peer(other),
        peer({ id: 'e'.repeat(32), name: 'h3', underlay: '192.0.2.3' }),
        peer({ id: 'd'.repeat(32), name: 'unreachable' }),
        BLUE,
        attached('blue'),
        remote('blue', 3, 'e'.repeat(32), '10.2.0.3/16'),
        remote('blue', 4, other.id, '10.2.0.4/16'),
        remote('blue', 5, other.id, '10.2.0.5/16'),
        remote('blue', 6, 'd'.repeat(32), '10.2.0.6/16'),
      ),
      want: `
      network/blue
        bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
        vxlan switch wx‹blue› (wb‹blue›) vni 10471862 port 4789 mtu 1430 local 192.0.2.1
        sysctl switch net/ipv6/conf/wb‹blue›/addr_gen_mode 1
        sysctl switch net/ipv6/conf/wb‹blue›/accept_ra 0
        sysctl switch net/ipv6/conf/wb‹blue›/disable_ipv6 0
        fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.2
        fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.3
      endpoint/web
        veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
        address /proc/1/ns/net ethwe-blue 10.2.0.1/16
        address /proc/1/ns/net ethwe-blue fd02::1/64
        route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      entries/web
        neighbour switch wb‹blue› 10.2.0.1 5a:77:0a:02:00:01
        neighbour switch wb‹blue› fd02::1 5a:77:0a:02:00:01
      entries/e3
        fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.3
        neighbour switch wb‹blue› 10.2.0.3 5a:77:00:00:00:03
      entries/e4
        fdb switch wx‹blue› 5a:77:00:00:00:04 → 192.0.2.2
        neighbour switch wb‹blue› 10.2.0.4 5a:77:00:00:00:04
      entries/e5
        fdb switch wx‹blue› 5a:77:00:00:00:05 → 192.0.2.2
        neighbour switch wb‹blue› 10.2.0.5 5a:77:00:00:00:05
      `,
    },
    {
      name: 'a gateway that every host has',
      state: stateOf(
        peer({ id: SELF, name: 'h1', underlay: '192.0.2.1' }),
        peer(other),
        network('out', ['10.3.0.0/16', 'fd03::/64'], { 'works.weave.gateway': 'weave' }),
        engineEndpoint('out', 2, '10.3.0.9/16'),
        remote('out', 3, other.id, '10.3.0.3/16'),
      ),
      want: `
      network/out
        bridge switch wb‹out› 52:6f:00:7a:c4:f1 mtu 1430 "weave out 10.3.0.0/16,gateway=10.3.0.1 fd03::/64,gateway=fd03::1 works.weave.gateway=weave"
        vxlan switch wx‹out› (wb‹out›) vni 7274618 port 4789 mtu 1430 local 192.0.2.1
        sysctl switch net/ipv6/conf/wb‹out›/addr_gen_mode 1
        sysctl switch net/ipv6/conf/wb‹out›/accept_ra 0
        sysctl switch net/ipv6/conf/wb‹out›/disable_ipv6 0
        fdb switch wx‹out› 00:00:00:00:00:00 → 192.0.2.2
        veth switch wu‹out› (wb‹out›, up, isolated) ↔ host weavegw‹out› 52:71:bc:e4:14:e6 (up) mtu 1430
        sysctl host net/ipv4/conf/weavegw‹out›/route_localnet 1
        address host weavegw‹out› 10.3.0.1/16
        address host weavegw‹out› fd03::1/64
        fdb switch wu‹out› 52:71:bc:e4:14:e6
        neighbour switch wb‹out› 10.3.0.1 52:71:bc:e4:14:e6
        neighbour switch wb‹out› fd03::1 52:71:bc:e4:14:e6
      entries/e2
        neighbour switch wb‹out› 10.3.0.9 5a:77:0a:03:00:09
      entries/e3
        fdb switch wx‹out› 5a:77:00:00:00:03 → 192.0.2.2
        neighbour switch wb‹out› 10.3.0.3 5a:77:00:00:00:03
      `,
    },
    {
      name: 'over IPv6, and a host that is reached over IPv4 only',
      state: stateOf(
        peer({ id: SELF, name: 'h1', underlay: '2001:DB8:0::1' }),
        peer(other),
        peer({ id: 'e'.repeat(32), name: 'h3', underlay: '2001:db8::3' }),
        network('six', ['fd02::/64']),
        engineEndpoint('six', 2, 'fd02::9/64'),
        remote('six', 3, other.id, 'fd02::3/64'),
        remote('six', 4, 'e'.repeat(32), 'fd02::4/64'),
      ),
      want: `
      network/six
        bridge switch wb‹six› 52:a6:83:e2:63:e2 mtu 1430 "weave six fd02::/64"
        vxlan switch wx‹six› (wb‹six›) vni 10912738 port 4789 mtu 1430 local 2001:db8::1
        sysctl switch net/ipv6/conf/wb‹six›/addr_gen_mode 1
        sysctl switch net/ipv6/conf/wb‹six›/accept_ra 0
        sysctl switch net/ipv6/conf/wb‹six›/disable_ipv6 0
        fdb switch wx‹six› 00:00:00:00:00:00 → 2001:db8::3
      entries/e2
        neighbour switch wb‹six› fd02::9 5e:c9:51:00:24:e3
      entries/e4
        fdb switch wx‹six› 5a:77:00:00:00:04 → 2001:db8::3
        neighbour switch wb‹six› fd02::4 5a:77:00:00:00:04
      `,
    },
    {
      name: 'a network of another host, without an endpoint here',
      state: stateOf(...FOREIGN, remote('blue', 3, other.id, '10.2.0.3/16')),
      want: '',
    },
    {
      name: 'and with one',
      state: stateOf(...FOREIGN, engineEndpoint('blue', 2, '10.2.0.9/16')),
      want: `
      network/blue
        bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      `,
    },
  ];
  for (const { name, state, want } of table) t.equal(withoutSwitch(readable(render(state), state)), golden(want), name);
});
