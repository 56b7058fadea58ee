import { adoptNetwork, publishPorts, type State } from '@weave/core';
import { render } from '@weave/core/testing';
import t from 'tap';
import { hex } from './given.ts';
import {
  attached,
  BLUE,
  BOTH,
  engineEndpoint,
  golden,
  joined,
  network,
  OUT,
  readable,
  stateOf,
  WEB,
  withoutSwitch,
} from './golden.ts';
import { SELF } from './world.ts';

t.test('desired: the switch', async (t) => {
  t.equal(
    render(stateOf()),
    golden(`
      switch
        sysctl switch net/ipv4/ip_forward 0
        sysctl switch net/ipv6/conf/all/disable_ipv6 1
        sysctl switch net/ipv6/conf/default/disable_ipv6 1
        sysctl switch net/bridge/bridge-nf-call-iptables 0 if present
        sysctl switch net/bridge/bridge-nf-call-ip6tables 0 if present
        sysctl switch net/bridge/bridge-nf-call-arptables 0 if present
      `),
  );
});

t.test('desired', async (t) => {
  const table: { name: string; state: State; want: string }[] = [
    {
      name: 'a dual-stack network, an attached endpoint and an engine’s',
      state: stateOf(...BOTH),
      want: `
      network/blue
        bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      endpoint/web
        veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
        address /proc/1/ns/net ethwe-blue 10.2.0.1/16
        address /proc/1/ns/net ethwe-blue fd02::1/64
        route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      endpoint/e2
        veth switch wv‹e2› (wb‹blue›, up) ↔ host wh‹e2› 5a:77:0a:02:00:09 (down) mtu 1430
      `,
    },
    {
      name: 'gateway=weave',
      state: stateOf(
        network('out', ['10.3.0.0/16', 'fd03::/64'], { 'works.weave.gateway': 'weave', mtu: '1400' }),
        attached('out'),
      ),
      want: `
      network/out
        bridge switch wb‹out› 52:6f:00:7a:c4:f1 mtu 1400 "weave out 10.3.0.0/16,gateway=10.3.0.1 fd03::/64,gateway=fd03::1 mtu=1400 works.weave.gateway=weave"
        veth switch wu‹out› (wb‹out›, up, isolated) ↔ host weavegw‹out› 52:71:bc:e4:14:e6 (up) mtu 1400
        sysctl host net/ipv4/conf/weavegw‹out›/route_localnet 1
        address host weavegw‹out› 10.3.0.1/16
        address host weavegw‹out› fd03::1/64
      endpoint/web
        veth switch wv‹web› (wb‹out›, up) ↔ /proc/1/ns/net ethwe-out 5a:77:0a:03:00:02 (up) mtu 1400
        address /proc/1/ns/net ethwe-out 10.3.0.2/16
        address /proc/1/ns/net ethwe-out fd03::2/64
        route /proc/1/ns/net ethwe-out 0.0.0.0/0 via 10.3.0.1 if absent
        route /proc/1/ns/net ethwe-out ::/0 via fd03::1 if absent
        route /proc/1/ns/net ethwe-out 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'gateway=weave, which a narrow prefix does not reach',
      state: stateOf(OUT[0]!, attached('out', WEB, 'net:10.3.7.0/24')),
      want: `
      network/out
        bridge switch wb‹out› 52:6f:00:7a:c4:f1 mtu 1430 "weave out 10.3.0.0/16,gateway=10.3.0.1 works.weave.gateway=weave"
        veth switch wu‹out› (wb‹out›, up, isolated) ↔ host weavegw‹out› 52:71:bc:e4:14:e6 (up) mtu 1430
        sysctl host net/ipv4/conf/weavegw‹out›/route_localnet 1
        address host weavegw‹out› 10.3.0.1/16
      endpoint/web
        veth switch wv‹web› (wb‹out›, up) ↔ /proc/1/ns/net ethwe-out 5a:77:0a:03:07:01 (up) mtu 1430
        address /proc/1/ns/net ethwe-out 10.3.7.1/24
        route /proc/1/ns/net ethwe-out 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'internal: no way out, whatever the gateway',
      state: stateOf(network('in', ['10.3.0.0/16'], { 'works.weave.gateway': 'weave' }, true), attached('in')),
      want: `
      network/in
        bridge switch wb‹in› 52:6f:05:46:68:98 mtu 1430 "weave in 10.3.0.0/16 internal works.weave.gateway=weave"
      endpoint/web
        veth switch wv‹web› (wb‹in›, up) ↔ /proc/1/ns/net ethwe-in 5a:77:0a:03:00:01 (up) mtu 1430
        address /proc/1/ns/net ethwe-in 10.3.0.1/16
        route /proc/1/ns/net ethwe-in 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'IPv6 only, no multicast',
      state: stateOf(network('six', ['fd02::/64'], { 'works.weave.multicast': 'false' }), attached('six')),
      want: `
      network/six
        bridge switch wb‹six› 52:a6:83:e2:63:e2 mtu 1430 "weave six fd02::/64 works.weave.multicast=false"
      endpoint/web
        veth switch wv‹web› (wb‹six›, up) ↔ /proc/1/ns/net ethwe-six 5e:85:f3:9e:1a:75 (up) mtu 1430
        address /proc/1/ns/net ethwe-six fd02::1/64
      `,
    },
    {
      name: 'two networks in one sandbox',
      state: stateOf(
        network('weave', ['10.2.0.0/16']),
        network('red', ['10.3.0.0/16']),
        attached('weave'),
        attached('red', WEB, '10.3.7.7/24', '192.0.2.7/32'),
      ),
      want: `
      network/weave
        bridge switch wb‹weave› 52:59:5e:06:44:ed mtu 1430 "weave weave 10.2.0.0/16"
      network/red
        bridge switch wb‹red› 52:e2:69:ba:08:1d mtu 1430 "weave red 10.3.0.0/16"
      endpoint/web
        veth switch wv‹web› (wb‹weave›, up) ↔ /proc/1/ns/net ethwe 5a:77:0a:02:00:01 (up) mtu 1430
        address /proc/1/ns/net ethwe 10.2.0.1/16
        route /proc/1/ns/net ethwe 224.0.0.0/4 if absent
      endpoint/web
        veth switch wv‹web› (wb‹red›, up) ↔ /proc/1/ns/net ethwe-red 5a:77:0a:03:07:07 (up) mtu 1430
        address /proc/1/ns/net ethwe-red 10.3.7.7/24
        address /proc/1/ns/net ethwe-red 192.0.2.7/32
        route /proc/1/ns/net ethwe-red 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'an endpoint that is attached nowhere',
      state: stateOf(BLUE, engineEndpoint('blue', 2, '10.2.0.9/16')),
      want: `
      network/blue
        bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      `,
    },
    {
      name: 'more endpoints than a bridge has room for',
      state: stateOf(
        BLUE,
        (state) => {
          const shard = {
            id: hex(7),
            network: state.network('blue').id,
            peer: SELF,
            owner: 'docker',
            shard: 1,
          } as const;
          return [
            {
              table: 'endpoint',
              id: hex(7),
              record: { ...shard, addresses: ['10.2.0.9/16'], mac: '5a:77:0a:02:00:09' },
            },
          ];
        },
        joined(7),
      ),
      want: `
      network/blue
        bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
        bridge switch wb‹blue/1› 52:94:4c:8d:e5:11 mtu 1430
        veth switch wr‹blue/1› (wb‹blue›, up) ↔ switch wt‹blue/1› (wb‹blue/1›, up) mtu 1430
      endpoint/e7
        veth switch wv‹e7› (wb‹blue/1›, up) ↔ host wh‹e7› 5a:77:0a:02:00:09 (down) mtu 1430
      `,
    },
    {
      name: 'an engine’s network has no alias',
      state: stateOf((state) =>
        adoptNetwork(state, {
          id: hex(0xd0c),
          name: 'dock',
          subnets: [{ cidr: '172.30.0.0/16', ours: false }],
          options: {},
          internal: false,
        }),
      ),
      want: `
      network/dock
        bridge switch wb‹dock› 52:71:61:15:64:cc mtu 1430
      `,
    },
  ];
  for (const { name, state, want } of table) {
    const found = withoutSwitch(readable(render(state), state));
    t.equal(found, golden(want), name);
  }
});

t.test('publishing ports asks nothing of the kernel', async (t) => {
  const state = stateOf(...BOTH);
  const before = render(state);
  state.apply(publishPorts(state, hex(2), [{ protocol: 'tcp', hostPort: 80, port: 80 }]));
  t.equal(render(state), before);
});
