import { type Change, fail } from '@weave/core';
import { test } from 'tap';
import { decisions, type Others } from '../src/decisions.ts';

const CHANGES: Change[] = [{ table: 'name', id: 'a', record: null }];

/** A host that has to join others, which takes the turn of networks. */
function joining() {
  const order: string[] = [];
  const turns = new Map<string, Promise<unknown>>();
  const inTurn = <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const turn = (turns.get(key) ?? Promise.resolve()).then(work);
    turns.set(key, turn);
    return turn;
  };
  let joined = false;
  const join = () =>
    inTurn('networks', async () => {
      order.push('joined');
      joined = true;
    });
  const others: Others = {
    joining: () => (joined ? undefined : join()),
    allow: () => order.push('allowed') > 0,
    provide: async () => false,
    note: () => undefined,
  };
  return { order, ...decisions(() => others, inTurn) };
}

test('what is decided of networks waits for the others outside of its turn, and is found out anew then', async (t) => {
  const { define, order } = joining();
  const prepare = async () => {
    order.push('prepared');
    return () => ({ changes: CHANGES });
  };
  t.equal(await define(prepare, () => 'done'), 'done');
  t.strictSame(order, ['prepared', 'joined', 'prepared', 'allowed']);
});

test('what changes nothing waits for nobody', async (t) => {
  const { decide, define, order } = joining();
  t.equal(
    await decide(
      () => ({ changes: [] }),
      () => 1,
    ),
    1,
  );
  t.equal(
    await define(
      async () => () => ({ changes: [] }),
      () => 2,
    ),
    2,
  );
  t.strictSame(order, []);
});

test('a network that is not known here may be the others’', async (t) => {
  const { decide, define, order } = joining();
  let known = false;
  const decision = () => {
    order.push('decided');
    if (!known) fail('WEAVE_NETWORK_NOT_FOUND', 'there is no network blue');
    return { changes: CHANGES };
  };
  const wait = define(
    async () => decision,
    () => 'done',
  );
  known = true;
  t.equal(await wait, 'done');
  t.strictSame(order, ['decided', 'joined', 'decided', 'allowed']);
  known = false;
  await t.rejects(
    decide(decision, () => 'done'),
    { code: 'WEAVE_NETWORK_NOT_FOUND' },
    'which have it not either',
  );
});
