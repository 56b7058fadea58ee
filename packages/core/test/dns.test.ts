import { addName, createNetwork, domainOf, nameIn, removeNames, requestPool, State } from '@weave/core';
import t from 'tap';
import { namesOf } from '../src/dns.ts';
import { network, refusal, take } from './given.ts';
import { SELF } from './world.ts';

const DOMAIN = 'weave.local';
const label = (length: number) => 'a'.repeat(length);

const named = () => {
  const state = new State(SELF);
  state.apply([{ table: 'self', id: 'self', record: { peer: SELF, domain: DOMAIN } }]);
  return state;
};

t.test('what may be a name, and how it is kept', async (t) => {
  const cases: Record<string, string | undefined> = {
    web: 'web.weave.local',
    'web.': 'web.weave.local',
    'SeEtWo.Weave.LOCAL.': 'seetwo.weave.local',
    'a.b.weave.local': 'a.b.weave.local',
    my_app_1: 'my_app_1.weave.local',
    _http: '_http.weave.local',
    '1': '1.weave.local',
    [label(63)]: `${label(63)}.weave.local`,
    [label(64)]: undefined,
    [`${`${label(60)}.`.repeat(4)}weave.local`]: undefined,
    'web.example.com': undefined,
    'weave.local': undefined,
    'webweave.local': undefined,
    '': undefined,
    '.': undefined,
    '-a': undefined,
    'a-': undefined,
    'a..weave.local': undefined,
    '.weave.local': undefined,
    'a b': undefined,
    'a\0': undefined,
    'a\n': undefined,
    'a*': undefined,
    // KELVIN SIGN, whose lower case is an ASCII k.
    '\u212A': undefined,
    'bücher.weave.local': undefined,
    'web.weave.local..': undefined,
  };
  for (const [text, want] of Object.entries(cases)) t.equal(nameIn(DOMAIN, text), want, JSON.stringify(text));
});

t.test('domains', async (t) => {
  t.equal(domainOf('Foo.Bar.'), 'foo.bar');
  t.equal(domainOf('local'), 'local');
  for (const text of ['', '.', 'a..b', '-', 'a b', label(64)])
    t.equal(
      refusal(() => domainOf(text)),
      'WEAVE_INVALID_OPTION',
      JSON.stringify(text),
    );
});

t.test('what a container is called', async (t) => {
  const web = { id: 'c'.repeat(64), name: 'Web_1' };
  t.same(namesOf(DOMAIN, web), ['web_1.weave.local']);
  t.same(
    namesOf(
      DOMAIN,
      { ...web, hostname: 'www.weave.local', aliases: { e: ['db', 'DB', 'x.weave.local', '-no'], f: ['other'] } },
      'e',
    ),
    ['www.weave.local', 'web_1.weave.local', 'db.weave.local', 'x.weave.local'],
    'its own name first, each once, what can be no name not at all, and only what this network calls it',
  );
  t.same(namesOf(DOMAIN, { ...web, hostname: 'www.example.com' }), ['web_1.weave.local'], 'a domain that is not ours');
  t.same(namesOf(DOMAIN, { ...web, hostname: '0123456789ab' }), ['web_1.weave.local'], 'one that the engine made up');
  t.same(namesOf(undefined, web), [], 'without a domain');
  const many = Array.from({ length: 500 }, (_, n) => `n${n}`);
  t.equal(namesOf(DOMAIN, { ...web, aliases: { e: many } }, 'e').length, 100, 'so many and no more');
});

t.test('names that are given, and taken back', async (t) => {
  const state = named();
  const ids = () => [...state.names.keys()].map((id) => id.slice(SELF.length + 1));
  const add = (name: string, addresses: string[], container?: string) =>
    state.apply(addName(state, { name, addresses, container }));
  add('www', ['10.2.1.1', 'FD00::0001'], 'c1');
  add('www', ['10.2.1.1/24']);
  add('db', ['10.2.1.1'], 'c2');
  t.same(ids(), ['www.weave.local/10.2.1.1', 'www.weave.local/fd00::1', 'db.weave.local/10.2.1.1']);
  const left = (wanted: Parameters<typeof removeNames>[1]) => {
    const copy = state.copy();
    copy.apply(removeNames(copy, wanted));
    return [...copy.names.keys()].map((id) => id.slice(SELF.length + 1));
  };
  t.same(left({ name: 'WWW' }), ['db.weave.local/10.2.1.1']);
  t.same(left({ addresses: ['10.2.1.1'] }), ['www.weave.local/fd00::1']);
  t.same(left({ name: 'db', addresses: ['10.9.9.9'] }), ids(), 'what is not there is passed over');
  t.same(left({ name: 'not a name' }), ids());
  t.same(left({ container: 'c2' }), ['www.weave.local/10.2.1.1', 'www.weave.local/fd00::1']);
  const theirs = { peer: 'f'.repeat(32), name: 'www.weave.local', address: '10.2.1.1' };
  state.apply([{ table: 'name', id: 'theirs', record: theirs }]);
  t.same(
    removeNames(state, { name: 'www' })
      .map(({ id }) => id)
      .includes('theirs'),
    false,
    'another host’s stays',
  );
  t.equal(
    refusal(() => addName(state, { name: 'a.example.com', addresses: [] })),
    'WEAVE_INVALID_NAME',
  );
  t.equal(
    refusal(() => addName(state, { name: 'a', addresses: ['10.0.0.300'] })),
    'WEAVE_INVALID_ADDRESS',
  );
  t.equal(
    refusal(() => addName(new State(SELF), { name: 'a', addresses: [] })),
    'WEAVE_NO_DNS',
  );
});

t.test('no subnet holds the address of the DNS', async (t) => {
  const state = named();
  for (const cidr of ['169.254.0.0/16', '169.254.53.52/30', 'fd77:6561:7665::/48', 'fd77:6561:7665:53::/64'])
    t.equal(
      refusal(() => createNetwork(state, { name: 'n', subnets: [{ cidr }] }, { now: 0 })),
      'WEAVE_SUBNET_OVERLAP',
      cidr,
    );
  network(state, { name: 'near', subnets: [{ cidr: '169.254.0.0/20' }] });
  const chosen = Array.from({ length: 0x60 }, () => take(state, requestPool(state, { family: 6, now: 0 })).pool.cidr);
  t.equal(new Set(chosen).size, 0x60);
  t.notOk(chosen.includes('fd77:6561:7665:53::/64'), 'nor is one chosen that does');
  t.ok(chosen.includes('fd77:6561:7665:52::/64') && chosen.includes('fd77:6561:7665:54::/64'));
});
