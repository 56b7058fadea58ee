import { t } from 'tap';
import type { Member } from '../../src/managed/etcd-api.ts';
import { actionsWanted, type HostRecord, type Seen, votersWanted } from '../../src/managed/voters.ts';

const url = (peer: string) => `https://${peer}:6786`;
const host = (peer: string): HostRecord => ({ name: peer, control: [], etcd: [url(peer)], able: true });
const member = (peer: string, more: Partial<Member> = {}): Member => ({
  ...{ id: `m-${peer}`, name: peer, peerURLs: [url(peer)], clientURLs: [], isLearner: false, ...more },
});
const fresh = (peer: string) => member(peer, { name: '', isLearner: true });

interface Told {
  self?: string;
  hosts: string;
  plan: string;
  members?: Member[];
  away?: string;
  dead?: string;
  unable?: string;
}

function seen({ self = 'a', hosts, plan, members, away = '', dead = '', unable = '' }: Told): Seen {
  const records = [...hosts].map((peer): [string, HostRecord] => [
    peer,
    { ...host(peer), able: !unable.includes(peer) },
  ]);
  return {
    ...{
      self,
      at: [url(self)],
      plan: [...plan],
      hosts: new Map(records),
      members: members ?? [...plan].map((peer) => member(peer)),
    },
    alive: new Set([...hosts].filter((peer) => !`${away}${dead}`.includes(peer))),
    dead: new Set(dead),
  };
}

const PLANS: [string, Told, string][] = [
  ['one of one', { hosts: 'a', plan: 'a' }, 'a'],
  ['one of two', { hosts: 'ab', plan: 'b' }, 'b'],
  ['three of three', { hosts: 'abc', plan: 'b' }, 'bac'],
  ['three of many, the first by name', { hosts: 'abcdefg', plan: 'g' }, 'gab'],
  ['who is in stays', { hosts: 'abcdef', plan: 'fde' }, 'def'],
  ['nobody new who is away', { hosts: 'abcd', plan: 'a', away: 'b' }, 'acd'],
  ['no third one alive: one', { hosts: 'abc', plan: 'a', away: 'c' }, 'a'],
  ['away for a while: stays', { hosts: 'abcd', plan: 'abc', away: 'c' }, 'abc'],
  ['dead, and another there: replaced', { hosts: 'abcd', plan: 'abc', dead: 'c' }, 'abd'],
  ['dead, and no other there: stays', { hosts: 'abc', plan: 'abc', dead: 'c' }, 'abc'],
  ['removed: replaced', { hosts: 'abd', plan: 'abc' }, 'abd'],
  ['removed, and two are left: one', { hosts: 'ab', plan: 'abc' }, 'a'],
  ['removed, and the one left is alive', { hosts: 'ab', plan: 'abc', away: 'a' }, 'b'],
  ['without the binary: never', { hosts: 'abcd', plan: 'd', unable: 'a' }, 'dbc'],
  ['nobody able: as it was', { hosts: 'a', plan: 'a', unable: 'a' }, 'a'],
];

for (const [what, told, wanted] of PLANS)
  t.test(`voters: ${what}`, async (t) => {
    t.same(votersWanted(seen(told)).sort(), [...wanted].sort());
    const then = seen({ ...told, plan: votersWanted(seen(told)).join('') });
    t.same(votersWanted(then).sort(), [...wanted].sort(), 'and then no others');
  });

const steps = (told: Told, data: readonly string[] = told.members?.map(({ id }) => id) ?? ['m-a', 'm-b', 'm-c']) =>
  actionsWanted(seen(told), (id) => data.includes(id)).map((action) =>
    [action.do, 'member' in action ? action.member : ''].join(' ').trim(),
  );

t.test('who shall vote and is no member adds itself, one at a time', async (t) => {
  t.same(steps({ self: 'b', hosts: 'abc', plan: 'abc', members: [member('a')] }), ['add']);
  t.same(steps({ self: 'c', hosts: 'abc', plan: 'abc', members: [member('a'), fresh('b')] }), []);
  t.same(steps({ self: 'c', hosts: 'abc', plan: 'abc', members: [member('a'), member('b', { isLearner: true })] }), []);
});

t.test('who was added runs, and is promoted once it does', async (t) => {
  t.same(steps({ self: 'b', hosts: 'abc', plan: 'abc', members: [member('a'), fresh('b')] }, []), ['run m-b']);
  const learner = [member('a'), member('b', { isLearner: true })];
  t.same(steps({ self: 'b', hosts: 'abc', plan: 'abc', members: learner }), ['run m-b', 'promote m-b']);
});

t.test('it begins with all members under their names', async (t) => {
  const told = seen({ self: 'b', hosts: 'abc', plan: 'abc', members: [member('a'), fresh('b')] });
  const [run] = actionsWanted(told, () => false);
  t.match(run, { do: 'run', initialCluster: 'a=https://a:6786,b=https://b:6786' });
});

t.test('whose data is lost comes anew, unless it is the only one', async (t) => {
  t.same(steps({ hosts: 'abc', plan: 'abc' }, []), ['remove m-a']);
  t.same(steps({ hosts: 'ab', plan: 'a' }, []), []);
});

t.test('who has moved says so', async (t) => {
  const members = [member('a', { peerURLs: ['https://elsewhere:6786'] })];
  t.same(steps({ hosts: 'a', plan: 'a', members }), ['run m-a', 'update m-a']);
});

t.test('who is not wanted goes when all that are wanted vote', async (t) => {
  const three = [member('a'), member('b'), member('c')];
  t.same(steps({ hosts: 'abc', plan: 'a', members: three }), ['run m-a', 'remove m-b']);
  t.same(steps({ hosts: 'abc', plan: 'b', members: [member('a'), member('b', { isLearner: true })] }), ['run m-a']);
  t.same(steps({ self: 'b', hosts: 'bc', plan: 'b', members: [member('b')], away: 'a' }), ['run m-b']);
});

t.test('who is not wanted and away goes at once, while the rest have a majority', async (t) => {
  const members = [member('a'), member('b'), member('c')];
  t.same(steps({ hosts: 'abcd', plan: 'abd', dead: 'c', members }), ['run m-a', 'remove m-c']);
  t.same(steps({ hosts: 'abcd', plan: 'abd', dead: 'c', away: 'b', members }), ['run m-a']);
});

t.test('one that runs here under another name is left alone, whoever shall vote', async (t) => {
  const members = [member('old', { peerURLs: [url('a')] })];
  for (const plan of ['b', 'a']) t.same(steps({ hosts: 'ab', plan, members }), []);
});

t.test('an etcd that is no member any more ends', async (t) => {
  t.same(steps({ self: 'c', hosts: 'abc', plan: 'ab', members: [member('a'), member('b')] }), ['stop']);
});
