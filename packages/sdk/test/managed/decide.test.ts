import { t } from 'tap';
import { type Decision, decide, type Side, type Standing } from '../../src/managed/decide.ts';

const side = (peer: string, standing: Standing, more: Partial<Side> = {}): Side => ({
  ...{ peer, standing, able: true },
  ...(standing === 'lone' ? {} : { cluster: `of ${peer}` }),
  ...more,
});

const MIRROR: Record<Decision, Decision> = {
  ...{ together: 'together', host: 'join', join: 'host', wait: 'wait', refuse: 'refuse', unable: 'unable' },
};

const CASES: [string, Side, Side, Decision][] = [
  ['of one cluster', side('a', 'settled', { cluster: 'x' }), side('b', 'settled', { cluster: 'x' }), 'together'],
  ['of two clusters', side('a', 'settled'), side('b', 'settled'), 'refuse'],
  ['lone, and of a cluster', side('a', 'lone'), side('b', 'settled'), 'join'],
  ['lone, and alone in a cluster', side('a', 'lone'), side('b', 'single'), 'join'],
  ['alone in a cluster, and with others in one', side('a', 'single'), side('b', 'settled'), 'join'],
  ['both alone in clusters', side('a', 'single'), side('b', 'single'), 'host'],
  ['one on its way', side('a', 'moving'), side('b', 'settled'), 'wait'],
  ['both lone, of one mind', side('a', 'lone', { first: 'a' }), side('b', 'lone', { first: 'a' }), 'host'],
  [
    'both lone, the higher one able',
    side('a', 'lone', { able: false, first: 'b' }),
    side('b', 'lone', { first: 'b' }),
    'join',
  ],
  ['both lone, of two minds', side('b', 'lone', { first: 'a' }), side('c', 'lone', { first: 'b' }), 'wait'],
  ['both lone, a third one first', side('b', 'lone', { first: 'a' }), side('c', 'lone', { first: 'a' }), 'wait'],
  ['both lone, one has not heard all', side('a', 'lone', { first: 'a' }), side('b', 'lone'), 'wait'],
  ['neither has etcd', side('a', 'lone', { able: false }), side('b', 'lone', { able: false }), 'unable'],
];

for (const [what, mine, theirs, decision] of CASES)
  t.test(what, async (t) => {
    t.equal(decide(mine, theirs), decision);
    t.equal(decide(theirs, mine), MIRROR[decision], 'the other agrees');
  });
