import {
  adoptNetwork,
  attach,
  bridgeName,
  type Change,
  createEndpoint,
  createNetwork,
  deleteEndpoint,
  desired,
  desiredEndpoint,
  desiredNetwork,
  detach,
  type Endpoint,
  gatewayName,
  HOST,
  handoverName,
  joinEndpoint,
  leaveEndpoint,
  type Observed,
  type Op,
  parseAddressRequest,
  plan,
  portName,
  publishPorts,
  queries,
  type Resource,
  removeNetwork,
  State,
  SWITCH,
  transition,
} from '@weave/core';
import { type MemoryDatapath, memoryDatapath, render } from '@weave/core/testing';
import t from 'tap';
import { rootPortName, trunkName, uplinkName, vxlanName } from '../src/names.ts';
import { SELF } from './world.ts';

const hex = (n: number) => n.toString(16).padStart(64, '0');
const WEB = '/proc/1/ns/net';
const other = { id: 'f'.repeat(32), name: 'h2', underlay: '192.0.2.2' };

type Step = (state: State) => Change[] | { changes: Change[] };

function stateOf(...steps: Step[]): State {
  const state = new State(SELF);
  for (const step of [peer({ id: SELF, name: 'h1' }), ...steps]) {
    const made = step(state);
    state.apply(Array.isArray(made) ? made : made.changes);
  }
  return state;
}

const peer =
  (record: { id: string; name: string; underlay?: string }): Step =>
  () => [{ table: 'peer', id: record.id, record }];

const network =
  (name: string, subnets: string[], options: Record<string, string> = {}, internal = false): Step =>
  (state) =>
    createNetwork(state, { name, subnets: subnets.map((cidr) => ({ cidr })), options, internal }, { now: 0 });

const attached =
  (name: string, path = WEB, ...requests: string[]): Step =>
  (state) =>
    attach(state, state.network(name), { path, id: `4:${path}` }, requests.map(parseAddressRequest));

const engineEndpoint =
  (name: string, n: number, address: string): Step =>
  (state) =>
    createEndpoint(state, { id: hex(n), network: name, addresses: [address] });

const joined =
  (n: number): Step =>
  (state) =>
    joinEndpoint(state, hex(n), '/sandbox/1');

const remote =
  (name: string, n: number, peer: string, address: string): Step =>
  (state) => {
    const mac = `5a:77:00:00:00:0${n}`;
    const record: Endpoint = {
      id: hex(n),
      network: state.network(name).id,
      peer,
      addresses: [address],
      mac,
      owner: 'weave',
    };
    return [{ table: 'endpoint', id: hex(n), record }];
  };

/** Hashes stand for what they are of: `wb‹blue›`. */
function readable(text: string, state: State): string {
  let readable = text;
  const say = (name: string, what: string) => {
    readable = readable.replaceAll(name, `${/^(weavegw|w.)/.exec(name)?.[0]}‹${what}›`);
  };
  for (const { id, name } of state.networks.values()) {
    for (const make of [bridgeName, vxlanName, uplinkName, gatewayName]) say(make(id), name);
    for (const make of [bridgeName, trunkName, rootPortName]) say(make(id, 1), `${name}/1`);
    readable = readable.replaceAll(id, name);
  }
  for (const { id, sandbox } of state.endpoints.values()) {
    const name = sandbox?.kind === 'netns' ? 'web' : `e${Number.parseInt(id.slice(-4), 16)}`;
    say(portName(id), name);
    say(handoverName(id), name);
    readable = readable.replaceAll(id, name);
  }
  return readable;
}

/** Without the switch's own unit, and without the left margin of a template. */
const withoutSwitch = (text: string) => text.replace(/^switch\n( .*\n)+/, '');
const golden = (text: string) => text.replace(/^\n/, '').replaceAll(/^ {6}/gm, '').replace(/ *$/, '');

const BLUE = network('blue', ['10.2.0.0/16', 'fd02::/64']);
const BOTH = [BLUE, attached('blue'), engineEndpoint('blue', 2, '10.2.0.9/16'), joined(2)];

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
        veth switch wu‹out› (wb‹out›, up) ↔ host weavegw‹out› 52:71:bc:e4:14:e6 (up) mtu 1400
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
        veth switch wu‹out› (wb‹out›, up) ↔ host weavegw‹out› 52:71:bc:e4:14:e6 (up) mtu 1430
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
        fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.2
        fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.3
        fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.3
        fdb switch wx‹blue› 5a:77:00:00:00:04 → 192.0.2.2
        fdb switch wx‹blue› 5a:77:00:00:00:05 → 192.0.2.2
      endpoint/web
        veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
        address /proc/1/ns/net ethwe-blue 10.2.0.1/16
        address /proc/1/ns/net ethwe-blue fd02::1/64
        route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
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

/** A kernel in which everything is as desired. */
async function kernelFor(state: State): Promise<MemoryDatapath> {
  const kernel = memoryDatapath({ namespaces: [WEB] });
  for (const { failed } of await kernel.apply(desired(state).map((unit) => unit.resources)))
    if (failed) throw new Error(JSON.stringify(failed));
  return kernel;
}

const planned = async (state: State, kernel: MemoryDatapath) =>
  plan(desired(state), await kernel.observe(queries(desired(state))));

const OUT = [network('out', ['10.3.0.0/16'], { 'works.weave.gateway': 'weave' }), attached('out')];
const HOSTS = [
  peer({ id: SELF, name: 'h1', underlay: '192.0.2.1' }),
  peer(other),
  BLUE,
  attached('blue'),
  remote('blue', 3, other.id, '10.2.0.3/16'),
];
const on = (name: string) => stateOf(network(name, [])).network(name).id;
const WV = portName(stateOf(...BOTH).endpointsIn(`4:${WEB}`)[0]!.id);
const near = { netns: SWITCH, name: WV };
const far = { netns: WEB, name: 'ethwe-blue' };
const link = { netns: WEB, link: 'ethwe-blue' };
const bridge: Op = { op: 'addBridge', netns: SWITCH, name: 'br0', mac: '52:00:00:00:00:99', mtu: 1500 };

t.test('plan', async (t) => {
  const table: {
    name: string;
    state?: State;
    ops?: Op[];
    meddle?(kernel: MemoryDatapath): void | Promise<void>;
    want: string;
  }[] = [
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
      name: 'sysctl',
      ops: [{ op: 'setSysctl', netns: SWITCH, key: 'net/ipv4/ip_forward', value: '1' }],
      want: `
      switch
        sysctl switch net/ipv4/ip_forward 0
      `,
    },
    {
      name: 'stray links in the switch',
      meddle: (kernel) => kernel.addForeign(SWITCH, { name: 'dummy0' }),
      ops: [
        bridge,
        { op: 'addVxlan', netns: SWITCH, name: 'vx0', vni: 7, port: 4789, mtu: 1430, master: 'br0' },
        {
          op: 'addVeth',
          netns: SWITCH,
          name: 'va',
          mtu: 1430,
          up: true,
          peer: { netns: HOST, name: 'vb', mtu: 1430, up: true },
        },
      ],
      want: `
      strays
        delete link switch br0
        delete link switch vx0
        retire link switch va
      `,
    },
    {
      name: 'a pair that goes may take the route along',
      ops: [
        {
          op: 'addVeth',
          netns: SWITCH,
          name: 'va',
          mtu: 1430,
          up: true,
          peer: { netns: WEB, name: 'old', mtu: 1430, up: true },
        },
        { op: 'deleteRoute', ...link, destination: '224.0.0.0/4' },
        { op: 'addRoute', netns: WEB, link: 'old', destination: '224.0.0.0/4' },
      ],
      want: `
      strays
        retire link switch va
      endpoint/web
        route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      `,
    },
    {
      name: 'links of others in the host and in containers',
      meddle(kernel) {
        kernel.addForeign(HOST, { name: 'docker0', kind: 'bridge', addresses: ['172.17.0.1/16'] });
        kernel.addForeign(HOST, { name: 'wbforeign', kind: 'bridge' });
        kernel.addForeign(HOST, { name: 'weavegwforeign', addresses: ['10.3.0.1/16'] });
        kernel.addForeign(WEB, {
          name: 'eth0',
          addresses: ['172.17.0.2/16'],
          routes: [{ destination: '198.51.100.0/24' }],
        });
        kernel.addForeign(WEB, { name: 'ethwe', addresses: ['10.2.0.7/16'] });
      },
      want: '',
    },
    {
      name: 'somebody else’s link with the name of ours',
      meddle: (kernel) =>
        kernel.addForeign(WEB, {
          name: 'ethwe-blue',
          kind: 'veth',
          mac: '5a:77:0a:02:00:01',
          mtu: 1430,
          addresses: ['10.2.0.1/16', '10.9.9.9/24'],
        }),
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
      name: 'somebody else’s pair with the name of ours, which has another by now',
      async meddle(kernel) {
        kernel.moveLink(WEB, 'ethwe-blue', WEB, 'renamed');
        const peer = { netns: HOST, name: 'theirs', mtu: 1430, up: true };
        await kernel.apply([
          [
            { op: 'addVeth', netns: WEB, name: 'ethwe-blue', mtu: 1430, up: true, peer },
            { op: 'setLink', netns: WEB, name: 'ethwe-blue', mac: '5a:77:0a:02:00:01' },
            { op: 'addAddress', netns: WEB, link: 'ethwe-blue', address: '10.9.9.9/24' },
          ],
        ]);
      },
      want: `
      endpoint/web
        veth switch wv‹web› (wb‹blue›, up) ↔ /proc/1/ns/net ethwe-blue 5a:77:0a:02:00:01 (up) mtu 1430
        address /proc/1/ns/net ethwe-blue 10.2.0.1/16
        address /proc/1/ns/net ethwe-blue fd02::1/64
        route /proc/1/ns/net ethwe-blue 224.0.0.0/4 if absent
      `,
    },
    { name: 'sandbox gone', meddle: (kernel) => kernel.removeNamespace(WEB), want: '' },
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
        delete fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.9
        fdb switch wx‹blue› 00:00:00:00:00:00 → 192.0.2.2
        fdb switch wx‹blue› 5a:77:00:00:00:03 → 192.0.2.2
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
  for (const { name, state = stateOf(...BOTH), ops = [], meddle, want } of table) {
    const kernel = await kernelFor(state);
    for (const { failed } of await kernel.apply(ops.map((op) => [op])))
      if (failed) throw new Error(JSON.stringify(failed));
    await meddle?.(kernel);
    const found = readable(render(await planned(state, kernel)), state);
    t.equal(found, golden(want), name);
    if (name.startsWith('somebody else')) continue;
    await kernel.apply((await planned(state, kernel)).map((batch) => batch.ops));
    t.equal(render(await planned(state, kernel)), '', `${name}: then nothing more`);
  }
});

const nothing = (netns: string, rest: Partial<Observed> = {}): Observed => ({
  ...{ netns, links: [], addresses: [], routes: [], neighbours: [], fdb: [], sysctls: [] },
  ...rest,
});

t.test('plan: a kernel with nothing in it', async (t) => {
  for (const state of [stateOf(...BOTH), stateOf(...OUT), stateOf(...HOSTS)]) {
    const units = desired(state);
    const observed = [nothing(SWITCH), nothing(WEB), nothing(HOST)];
    const found = render(plan(units, observed));
    // All of it in its order; but no bridge sysctl where there is no br_netfilter, and no engine's pair.
    const isOurs = (r: Resource) => !(r.op === 'setSysctl' && r.ifPresent) && !(r.op === 'addVeth' && !r.peer.up);
    const wanted = units.map(({ key, resources }) => ({ key, resources: resources.filter(isOurs) }));
    t.equal(sorted(found), sorted(render(wanted.filter((unit) => unit.resources.length > 0))));
  }
  t.strictSame(plan([], []), []);
  const gone = { code: 'ENOENT' };
  t.equal(
    render(plan(desired(stateOf(BLUE, attached('blue'))), [nothing(SWITCH), nothing(WEB, gone)])).includes(WEB),
    false,
  );
});

const sorted = (text: string) => text.split('\n').sort().join('\n');

t.test('what a full pass looks at', async (t) => {
  t.strictSame(queries([]), [{ netns: SWITCH }], 'the switch, always');
  const state = stateOf(...BOTH, ...OUT);
  const [first, ...rest] = queries(desired(state));
  t.match(first, { netns: SWITCH, links: undefined });
  t.equal(first?.sysctls?.length, 6);
  const key = `net/ipv4/conf/${gatewayName(on('out'))}/route_localnet`;
  t.strictSame(rest, [
    { netns: HOST, links: [gatewayName(on('out'))], sysctls: [key] },
    { netns: WEB, links: ['ethwe-blue', 'ethwe-out'] },
  ]);
});

t.test('publishing ports asks nothing of the kernel', async (t) => {
  const state = stateOf(...BOTH);
  const before = render(state);
  state.apply(publishPorts(state, hex(2), [{ protocol: 'tcp', hostPort: 80, port: 80 }]));
  t.equal(render(state), before);
});

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
