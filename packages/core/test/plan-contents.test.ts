import { bridgeName, gatewayName, HOST, portName, SWITCH } from '@weave/core';
import t from 'tap';
import { vxlanName } from '../src/names.ts';
import { hex } from './given.ts';
import { attached, type Drift, HOSTS, link, near, OUT, on, repairs, stateOf, WEB } from './golden.ts';

const onBridge = () => ({ netns: SWITCH, link: bridgeName(on('blue')) });

t.test('plan: what is on links, and sysctls', async (t) => {
  const table: Drift[] = [
    {
      name: 'address gone',
      ops: [{ op: 'deleteAddress', ...link, address: 'fd02::1/64' }],
      want: `
      endpoint/web
        address /proc/1/ns/net ethwe-blue fd02::1/64
      `,
    },
    {
      name: 'the last IPv4 address gone, and the route with it',
      ops: [{ op: 'deleteAddress', ...link, address: '10.2.0.1/16' }],
      want: `
      endpoint/web
        address /proc/1/ns/net ethwe-blue 10.2.0.1/16
        route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'route gone',
      ops: [{ op: 'deleteRoute', ...link, destination: '224.0.0.0/4' }],
      want: `
      endpoint/web
        route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'route over another link is as good',
      meddle: (kernel) => kernel.addForeign(WEB, { name: 'eth0', routes: [{ destination: '224.0.0.0/4' }] }),
      ops: [{ op: 'deleteRoute', ...link, destination: '224.0.0.0/4' }],
      want: '',
    },
    {
      name: 'stray address on our interface',
      ops: [{ op: 'addAddress', ...link, address: '10.9.9.9/24' }],
      want: `
      endpoint/web
        delete address /proc/1/ns/net ethwe-blue 10.9.9.9/24
        address /proc/1/ns/net ethwe-blue 10.2.0.1/16
        address /proc/1/ns/net ethwe-blue fd02::1/64
        route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'stray addresses in the switch, which would be answered for',
      ops: [
        { op: 'addAddress', netns: SWITCH, link: bridgeName(on('blue')), address: '10.2.0.7/16' },
        { op: 'addAddress', netns: SWITCH, link: portName(hex(2)), address: '10.2.0.8/16' },
      ],
      want: `
      network/blue
        delete address switch wb‹blue› 10.2.0.7/16
      endpoint/e2
        delete address switch wv‹e2› 10.2.0.8/16
      `,
    },
    {
      name: 'a stray address, and a way out over it',
      state: stateOf(OUT[0]!, attached('out', WEB, 'net:10.3.7.0/24')),
      ops: [
        { op: 'addAddress', netns: WEB, link: 'ethwe-out', address: '10.3.0.9/16' },
        { op: 'addRoute', netns: WEB, link: 'ethwe-out', destination: '0.0.0.0/0', gateway: '10.3.0.1' },
        { op: 'addRoute', netns: WEB, link: 'ethwe-out', destination: '198.51.100.0/24', gateway: '10.3.7.9' },
      ],
      want: `
      endpoint/web
        delete route /proc/1/ns/net ethwe-out 0.0.0.0/0 via 10.3.0.1
        delete address /proc/1/ns/net ethwe-out 10.3.0.9/16
        address /proc/1/ns/net ethwe-out 10.3.7.1/24
        route /proc/1/ns/net ethwe-out 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'a container’s own routes over our interface',
      ops: [
        { op: 'addRoute', ...link, destination: '198.51.100.0/24', gateway: '10.2.0.9' },
        { op: 'addRoute', ...link, destination: '203.0.113.0/24' },
      ],
      want: '',
    },
    {
      name: 'sysctl',
      ops: [{ op: 'setSysctl', netns: SWITCH, key: 'net/ipv4/ip_forward', value: '1' }],
      want: `
      switch
        sysctl switch net/ipv4/ip_forward 0
      `,
    },
    {
      name: 'forwarding entries: one is missing, one is stale, one goes astray',
      state: stateOf(...HOSTS),
      ops: [
        {
          op: 'addFdb',
          netns: SWITCH,
          link: vxlanName(on('blue')),
          mac: '00:00:00:00:00:00',
          destination: '192.0.2.9',
        },
        {
          op: 'deleteFdb',
          netns: SWITCH,
          link: vxlanName(on('blue')),
          mac: '00:00:00:00:00:00',
          destination: '192.0.2.2',
        },
        {
          op: 'addFdb',
          netns: SWITCH,
          link: vxlanName(on('blue')),
          mac: '5a:77:00:00:00:03',
          destination: '192.0.2.9',
        },
      ],
      want: `
      network/blue
        delete fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.9
        fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.2
      entries/e3
        fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.2
      `,
    },
    {
      name: 'a bridge’s entry is missing, and what nobody gave it is there',
      state: stateOf(...HOSTS),
      ops: [
        { op: 'setLink', netns: SWITCH, name: vxlanName(on('blue')), master: '' },
        { op: 'setLink', netns: SWITCH, name: vxlanName(on('blue')), master: bridgeName(on('blue')) },
        {
          op: 'addFdb',
          netns: SWITCH,
          link: vxlanName(on('blue')),
          mac: '02:00:00:00:00:99',
          destination: '192.0.2.2',
        },
        { op: 'addFdb', netns: SWITCH, link: near.name, mac: '02:00:00:00:00:98' },
      ],
      want: `
      network/blue
        vxlan switch wx‹blue› (wb‹blue›) vni 10471862 port 4789 mtu 1430 local 192.0.2.1
        delete fdb switch wx‹blue› 02:00:00:00:00:99 → 192.0.2.2
        delete fdb switch wx‹blue› 02:00:00:00:00:99
      endpoint/web
        delete fdb switch wv‹web› 02:00:00:00:00:98
      entries/e3
        fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.2
      `,
    },
    {
      name: 'neighbours of a bridge: one is missing, one is another’s, one is nobody’s',
      state: stateOf(...HOSTS),
      ops: [
        { op: 'deleteNeighbour', ...onBridge(), address: '10.2.0.3', mac: '5a:77:00:00:00:03' },
        { op: 'addNeighbour', ...onBridge(), address: 'fd02::1', mac: '02:00:00:00:00:99' },
        { op: 'addNeighbour', ...onBridge(), address: '10.2.9.9', mac: '02:00:00:00:00:99' },
      ],
      want: `
      network/blue
        delete neighbour switch wb‹blue› 10.2.9.9 02:00:00:00:00:99
      entries/web
        neighbour switch wb‹blue› fd02::1 5a:77:0a:02:00:01
      entries/e3
        neighbour switch wb‹blue› 10.2.0.3 5a:77:00:00:00:03
      `,
    },
    {
      name: 'IPv6 turned on everywhere: turning it off takes a bridge’s along',
      state: stateOf(...HOSTS),
      ops: [{ op: 'setSysctl', netns: SWITCH, key: 'net/ipv6/conf/all/disable_ipv6', value: '0' }],
      want: `
      switch
        sysctl switch net/ipv6/conf/all/disable_ipv6 1
        sysctl switch net/ipv6/conf/default/disable_ipv6 1
      network/blue
        sysctl switch net/ipv6/conf/wb‹blue›/disable_ipv6 0
      entries/web
        neighbour switch wb‹blue› fd02::1 5a:77:0a:02:00:01
      `,
    },
    {
      name: 'gateway: gone, or meddled with',
      state: stateOf(...OUT),
      ops: [
        { op: 'deleteAddress', netns: HOST, link: gatewayName(on('out')), address: '10.3.0.1/16' },
        { op: 'addAddress', netns: HOST, link: gatewayName(on('out')), address: '10.3.0.99/16' },
        { op: 'setSysctl', netns: HOST, key: `net/ipv4/conf/${gatewayName(on('out'))}/route_localnet`, value: '0' },
      ],
      want: `
      network/out
        delete address host weavegw‹out› 10.3.0.99/16
        sysctl host net/ipv4/conf/weavegw‹out›/route_localnet 1
        address host weavegw‹out› 10.3.0.1/16
      `,
    },
  ];
  await repairs(t, table);
});
