import {
  attach,
  bridged,
  bridgedOf,
  desired,
  desiredEndpoint,
  desiredFirewall,
  detach,
  expose,
  exposureOf,
  exposures,
  parseAddressRequest,
  plan,
  published,
  queries,
  type State,
} from '@weave/core';
import { memoryDatapath, render } from '@weave/core/testing';
import t from 'tap';
import { network, refusal, start, take } from './given.ts';
import { WEB } from './golden.ts';
import { digest } from './world.ts';

function given() {
  const state = start();
  const weave = network(state, { name: 'weave', subnets: [{ cidr: '10.32.0.0/12' }, { cidr: 'fd00::/64' }] });
  return { state, weave };
}

const requests = (...words: string[]) => words.map(parseAddressRequest);
const exposed = (state: State, name: string, words: string[], masquerade = true) =>
  take(state, expose(state, state.network(name), requests(...words), masquerade));

t.test('the host is on a network as containers are', async (t) => {
  const { state, weave } = given();
  t.strictSame(exposed(state, 'weave', []).granted, ['10.32.0.1/12', 'fd00::1/64']);
  const before = digest(state);
  t.strictSame(exposed(state, 'weave', []).changes, [], 'twice is once');
  t.equal(digest(state), before);
  t.strictSame(exposed(state, 'weave', ['10.2.1.100/24', 'net:default']).granted, [
    ...['10.2.1.100/24', '10.32.0.1/12', 'fd00::1/64'],
  ]);
  const target = { path: WEB, id: '4:1' };
  t.equal(
    refusal(() => attach(state, weave, target, requests('10.2.1.100/24'))),
    'WEAVE_ADDRESS_IN_USE',
  );
  take(state, attach(state, weave, target, requests('10.2.1.1/24')));
  t.equal(
    refusal(() => expose(state, weave, requests('10.2.1.1/24'), true)),
    'WEAVE_ADDRESS_IN_USE',
  );
  network(state, { name: 'blue', subnets: [{ cidr: '10.3.0.0/24' }] });
  exposed(state, 'blue', []);
  t.strictSame(
    exposures(state).map(({ sandbox }) => sandbox),
    [
      { kind: 'host', interface: 'weave' },
      { kind: 'host', interface: 'weave-blue' },
    ],
  );
  network(state, { name: 'out', subnets: [{ cidr: '10.4.0.0/24' }], options: { 'works.weave.gateway': 'weave' } });
  t.equal(
    refusal(() => exposed(state, 'out', [])),
    'WEAVE_INVALID_REQUEST',
    'it is its gateway already',
  );
  const { removed } = take(state, detach(state, exposureOf(state, weave), []));
  t.strictSame(removed, ['10.32.0.1/12', 'fd00::1/64', '10.2.1.100/24']);
  t.equal(exposureOf(state, weave), undefined);
});

t.test('what the host’s packet filter does for it', async (t) => {
  const { state } = given();
  t.equal(desiredFirewall(state), undefined);
  exposed(state, 'weave', ['10.2.1.100/24', '10.2.1.101/24', 'fd00:2::1/64']);
  exposed(state, 'weave', ['10.2.2.100/24'], false);
  const subnets = ['10.2.1.0/24', 'fd00:2::/64', '10.2.2.0/24'];
  t.strictSame(desiredFirewall(state), {
    ...{ gateways: [], ports: [] },
    exposed: [{ link: 'weave', subnets, masqueraded: subnets.slice(0, 2) }],
  });
  exposed(state, 'weave', ['10.2.2.100/24']);
  exposed(state, 'weave', ['fd00:2::1/64'], false);
  t.strictSame(
    desiredFirewall(state)?.exposed?.[0]?.masqueraded,
    ['10.2.1.0/24', '10.2.2.0/24'],
    'as it was said last',
  );
});

t.test('in the kernel', async (t) => {
  const { state, weave } = given();
  const { endpoint } = exposed(state, 'weave', ['10.2.1.100/24']);
  const joined = take(state, bridged(state, weave, 'docker0')).endpoint;
  const hidden = (text: string) => text.replace(/(wv|wb|weavebr)[a-z2-7]{8,11}/g, '$1…').replace(/5e:\S+/, '5e:…');
  t.equal(
    hidden(render([endpoint, joined].flatMap((each) => desiredEndpoint(state, each).resources))),
    [
      'veth switch wv… (wb…, up) ↔ host weave 5a:77:0a:02:01:64 (up) mtu 1430',
      'sysctl host net/ipv6/conf/weave/accept_ra 0 if present',
      'address host weave 10.2.1.100/24',
      'veth switch wv… (wb…, up) ↔ host weavebr… 5e:… (docker0, up) mtu 1430',
      '',
    ].join('\n'),
  );
  const kernel = memoryDatapath({ namespaces: [] });
  const todo = async () => plan(desired(state), await kernel.observe(queries(desired(state))));
  await kernel.apply([[{ op: 'addBridge', netns: 'host', name: 'docker0', mac: '02:42:00:00:00:01', mtu: 1500 }]]);
  const applied = await kernel.apply((await todo()).map(({ ops }) => ops));
  t.strictSame(
    applied.flatMap(({ failed }) => failed ?? []),
    [],
  );
  t.strictSame(await todo(), [], 'nothing is left to do');
});

t.test('a bridge of the host', async (t) => {
  const { state, weave } = given();
  const { endpoint } = take(state, bridged(state, weave, 'docker0'));
  t.strictSame(bridged(state, weave, 'docker0').changes, [], 'twice is once');
  t.not(take(state, bridged(state, weave, 'br0')).endpoint.id, endpoint.id);
  t.equal(bridgedOf(state, weave, 'docker0')?.id, endpoint.id);
  t.strictSame(state.isMember(weave.id), true, 'others send here what is for all');
});

t.test('what others are told of it', async (t) => {
  const { state, weave } = given();
  const { endpoint } = exposed(state, 'weave', ['10.2.1.100/24']);
  t.strictSame(Object.keys(published(endpoint)!).sort(), ['addresses', 'id', 'mac', 'network', 'owner', 'peer']);
  const hosts = { own: 'c1', others: ['10.2.1.9\tdb'] };
  const container = { id: 'c'.repeat(64), name: 'c1' };
  const target = { path: WEB, id: '4:1', container };
  const attached = take(state, attach(state, weave, target, [], { noMulticast: true, awaited: true, hosts })).endpoint;
  t.strictSame(Object.keys(published(attached)!).sort(), [
    ...['addresses', 'container', 'id', 'mac', 'network', 'owner', 'peer'],
  ]);
  t.strictSame(attached.hosts, hosts);
  const listing = render(desiredEndpoint(state, attached).resources);
  t.notMatch(listing, '224.0.0.0', 'no multicast was asked for');
  t.match(listing, /sysctl \/proc\/1\/ns\/net net\/ipv4\/conf\/ethwe\/tag 1\n$/, 'what waits for it is told at last');
  const again = attach(state, weave, target, []);
  t.strictSame(again.changes, [], 'what is not said stays');
});
