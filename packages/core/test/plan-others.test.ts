import { desired, gatewayName, HOST, type Observed, plan, queries, type Resource, SWITCH } from '@weave/core';
import { render } from '@weave/core/testing';
import t from 'tap';
import {
  attached,
  BLUE,
  BOTH,
  bridge,
  type Drift,
  HOSTS,
  link,
  near,
  OUT,
  on,
  repairs,
  stateOf,
  WEB,
} from './golden.ts';

t.test('plan: what nobody wants, and what is somebody else’s', async (t) => {
  const table: Drift[] = [
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
      held: true,
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
      held: true,
    },
    { name: 'sandbox gone', meddle: (kernel) => kernel.removeNamespace(WEB), want: '' },
  ];
  await repairs(t, table);
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
