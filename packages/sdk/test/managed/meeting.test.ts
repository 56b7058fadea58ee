import { t } from 'tap';
import type { Channel } from '../../src/managed/channel.ts';
import type { Side } from '../../src/managed/decide.ts';
import { answer, ask, type Party } from '../../src/managed/meeting.ts';
import type { Admission, News } from '../../src/managed/messages.ts';

const ID = '0'.repeat(32);
const SALT = '0'.repeat(64);
const guesses = { allows: () => true, wrong: () => undefined };
const newsOf = (epoch: number): News => ({ epoch, endpoints: [`https://10.0.0.${epoch}:6785`], hosts: {} });

interface Met {
  party: Party;
  learned: News[];
  joined: Admission[];
}

/** A host of a cluster that knows this of it. */
function member(peer: string, news: News, { secured = false, standing = 'settled' as Side['standing'] } = {}): Met {
  const [learned, joined]: [News[], Admission[]] = [[], []];
  const party: Party = {
    ...{ peer, name: peer, able: true, busy: () => false },
    cluster: () => ({ id: ID, secret: 'of its hosts', secured, news }),
    side: () => ({ peer, standing, able: true, cluster: ID }),
    met: () => undefined,
    admit: async () => undefined,
    join: (admission) => void joined.push(admission),
    learn: (told) => void learned.push(told),
  };
  return { party, learned, joined };
}

/** Both ends of one connection. */
function connection(): [Channel, Channel] {
  const [to, from] = [line(), line()];
  const end = (out: Line, into: Line): Channel => ({
    ...{ binding: Buffer.alloc(32), address: '', close: out.end },
    ...{ send: (message) => out.put(JSON.stringify(message)), receive: async () => JSON.parse(await into.take()) },
  });
  return [end(to, from), end(from, to)];
}

type Line = ReturnType<typeof line>;
function line() {
  const said: string[] = [];
  let next = Promise.withResolvers<void>();
  return {
    put(text: string) {
      said.push(text);
      next.resolve();
    },
    end: () => next.reject(new Error('it ended the conversation')),
    async take(): Promise<string> {
      for (; said.length === 0; next = Promise.withResolvers()) await next.promise;
      return said.shift()!;
    },
  };
}

/** Says these, whatever it is told. */
const stranger = (channel: Channel, ...said: object[]) => {
  for (const each of said) channel.send(each);
};
const hello = { weave: 1, peer: 'x', name: 'x', able: true, nonce: SALT, password: false };
const side = { peer: 'x', standing: 'settled', able: true, cluster: ID };
const untrue = newsOf(99);

t.test('two of one cluster tell each other what they know of it', async (t) => {
  const [a, b] = [member('a', newsOf(1), { secured: true }), member('b', newsOf(2), { secured: true })];
  const [asks, answers] = connection();
  const [met] = await Promise.all([ask(a.party, asks), answer(b.party, answers, SALT, guesses)]);
  t.equal(met.decision, 'together');
  t.same([a.learned, b.learned], [[newsOf(2)], [newsOf(1)]]);
});

t.test('of who does not say at first that it is of it nothing is learned', async (t) => {
  const a = member('a', newsOf(1));
  const [theirs, ours] = connection();
  stranger(theirs, hello, { side, news: untrue });
  await answer(a.party, ours, SALT, guesses);
  const [mine, others] = connection();
  stranger(others, hello, { side, news: untrue });
  t.match(await ask(a.party, mine), { decision: 'wait' }, 'nor is it taken for one of us');
  t.same(a.learned, []);
});

t.test('who says so has to prove it', async (t) => {
  const a = member('a', newsOf(1));
  const [theirs, ours] = connection();
  stranger(theirs, { ...hello, cluster: ID }, { side, news: untrue });
  await t.rejects(answer(a.party, ours, SALT, guesses), { code: 'WEAVE_JOIN_DENIED' });
  const [mine, others] = connection();
  stranger(others, { ...hello, cluster: ID }, { side, news: untrue });
  await t.rejects(ask(a.party, mine), { code: 'WEAVE_JOIN_DENIED' });
  t.same(a.learned, []);
});

t.test(
  'whose cluster has a password, and who was started without it, hears nobody else and joins nobody',
  async (t) => {
    const a = member('a', newsOf(1), { secured: true, standing: 'single' });
    const pem = '-----BEGIN CERTIFICATE-----';
    const admission = { id: '1'.repeat(32), secured: false, ca: { cert: pem, key: pem }, ...untrue };
    const other = { ...side, cluster: admission.id };
    const denied = { code: 'WEAVE_JOIN_DENIED', message: /without its cluster’s password/ };
    const [theirs, ours] = connection();
    stranger(theirs, { ...hello, cluster: admission.id }, { side: other }, { admission });
    await t.rejects(answer(a.party, ours, SALT, guesses), denied);
    const [mine, others] = connection();
    stranger(others, { ...hello, cluster: admission.id }, { side: other, admission });
    await t.rejects(ask(a.party, mine), denied);
    t.same(a.joined, []);
  },
);
