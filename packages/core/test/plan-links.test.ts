import { bridgeName, HOST, handoverName, portName, SWITCH } from '@weave/core';
import t from 'tap';
import { vxlanName } from '../src/names.ts';
import { hex } from './given.ts';
import { bridge, type Drift, far, HOSTS, near, OUT, on, repairs, SANDBOX, stateOf, WEB } from './golden.ts';

t.test('plan: links', async (t) => {
  const table: Drift[] = [
    { name: 'nothing to do', want: '' },
    { name: 'nothing to do: two hosts', state: stateOf(...HOSTS), want: '' },
    { name: 'nothing to do: a way out', state: stateOf(...OUT), want: '' },
    {
      name: 'mtu of the bridge',
      ops: [{ op: 'setLink', netns: SWITCH, name: bridgeName(on('blue')), mtu: 1500 }],
      want: `
      network/blue
        bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      `,
    },
    {
      name: 'bridge down',
      ops: [{ op: 'setLink', netns: SWITCH, name: bridgeName(on('blue')), up: false }],
      want: `
      network/blue
        bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      `,
    },
    {
      name: 'bridge gone',
      ops: [{ op: 'deleteLink', netns: SWITCH, name: bridgeName(on('blue')) }],
      want: `
      network/blue
        bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      endpoint/web
        veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
      endpoint/e2
        set switch wv‹e2› up mtu 1430 master wb‹blue›
      `,
    },
    {
      name: 'bridge that says something else of itself',
      ops: [{ ...bridge, name: bridgeName(on('blue')), alias: 'x' }],
      want: `
      network/blue
        bridge switch wb‹blue› 52:9f:c9:b6:08:3a mtu 1430 "weave blue 10.2.0.0/16 fd02::/64"
      `,
    },
    {
      name: 'port off its bridge',
      ops: [{ op: 'setLink', ...near, master: '' }],
      want: `
      endpoint/web
        veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
      `,
    },
    {
      name: 'port on another bridge',
      ops: [bridge, { op: 'setLink', ...near, master: 'br0' }],
      want: `
      strays
        delete link switch br0
      endpoint/web
        veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
      `,
    },
    {
      name: 'port down',
      ops: [{ op: 'setLink', ...near, up: false }],
      want: `
      endpoint/web
        veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
      `,
    },
    {
      name: 'mtu in the container',
      ops: [{ op: 'setLink', ...far, mtu: 1500 }],
      want: `
      endpoint/web
        veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
      `,
    },
    {
      name: 'MAC in the container',
      ops: [{ op: 'setLink', ...far, mac: '02:00:00:00:00:01' }],
      want: `
      endpoint/web
        veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
      `,
    },
    {
      name: 'down in the container',
      ops: [{ op: 'setLink', ...far, up: false }],
      want: `
      endpoint/web
        veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
        address /proc/1/ns/net ethwe-blue fd02::1/64
        route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'pair gone',
      ops: [{ op: 'deleteLink', ...near }],
      want: `
      endpoint/web
        veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
        address /proc/1/ns/net ethwe-blue 10.2.0.1/16
        address /proc/1/ns/net ethwe-blue fd02::1/64
        route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'an engine’s end in its sandbox',
      meddle: (kernel) => kernel.moveLink(HOST, handoverName(hex(2)), WEB, 'eth0'),
      want: '',
    },
    {
      name: 'an engine’s end in its sandbox, and its port meddled with',
      meddle: (kernel) => kernel.moveLink(HOST, handoverName(hex(2)), WEB, 'eth0'),
      ops: [{ op: 'setLink', netns: SWITCH, name: portName(hex(2)), up: false, mtu: 1300, master: '' }],
      want: `
      endpoint/e2
        set switch wv‹e2› up mtu 1430 master wb‹blue›
      `,
    },
    {
      name: 'an engine’s end in its sandbox, with another MTU',
      meddle: async (kernel) => {
        kernel.moveLink(HOST, handoverName(hex(2)), SANDBOX, 'eth0');
        await kernel.apply([[{ op: 'setLink', netns: SANDBOX, name: 'eth0', mtu: 1280 }]]);
      },
      want: `
      endpoint/e2
        set far end of switch wv‹e2› in /sandbox/1 mtu 1430
      `,
    },
    {
      name: 'an engine’s pair gone: with its container',
      ops: [{ op: 'deleteLink', netns: SWITCH, name: portName(hex(2)) }],
      want: '',
    },
    {
      name: 'VXLAN device of another VNI',
      state: stateOf(...HOSTS),
      ops: [
        {
          op: 'addVxlan',
          netns: SWITCH,
          name: vxlanName(on('blue')),
          vni: 9,
          port: 4789,
          mtu: 1430,
          master: bridgeName(on('blue')),
        },
      ],
      want: `
      network/blue
        vxlan switch wx‹blue› (wb‹blue›) vni 10471862 port 4789 mtu 1430 local 192.0.2.1
        fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.2
      entries/e3
        fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.2
      `,
    },
    {
      name: 'VXLAN device off its bridge',
      state: stateOf(...HOSTS),
      ops: [{ op: 'setLink', netns: SWITCH, name: vxlanName(on('blue')), master: '' }],
      want: `
      network/blue
        vxlan switch wx‹blue› (wb‹blue›) vni 10471862 port 4789 mtu 1430 local 192.0.2.1
        fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.2
      entries/e3
        fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.2
      `,
    },
  ];
  await repairs(t, table);
});
