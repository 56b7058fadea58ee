import type { Directory, News } from '@weave/core';
import {
  type DirectoryClient,
  type DirectorySubject,
  directoryContract,
  type Later,
  memoryDirectory,
} from '@weave/core/testing';
import t from 'tap';

/** Enough turns for every microtask that follows from those there are. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

function subject(): DirectorySubject {
  let now = 0;
  const shared = memoryDirectory({ clock: () => now });
  const client = (directory: Directory) => directory as DirectoryClient;
  return {
    open: async () => shared.client(),
    cut: async (directory) => client(directory).cut(),
    heal: async (directory) => client(directory).heal(),
    compact: async () => shared.compact(),
    loseData: async () => shared.loseData(),
    async passes(seconds) {
      await settled();
      now += seconds * 1000;
      shared.expireLeases();
      await settled();
    },
  };
}

t.test('the directory in memory keeps the contract of the directory', async (t) => {
  for (const { name, run } of directoryContract) await t.test(name, () => run(subject()));
});

t.test('nothing happens by itself: all goes through the scheduler that it is given, in order', async (t) => {
  const queue: (() => void)[] = [];
  const later: Later = (run) => void queue.push(run);
  const shared = memoryDirectory({ later });
  const [directory, other] = [shared.client(), shared.client()];
  const told: News[] = [];
  directory.follow('k', (news) => told.push(news));
  const committed = other.commit({ writes: [{ key: 'k', value: '1' }] });
  await settled();
  t.strictSame([told, shared.entries()], [[], []]);
  while (queue.length > 0) queue.shift()!();
  t.equal(await committed, 2);
  t.match(told, [
    { kind: 'all', entries: [] },
    { kind: 'changes', entries: [{ key: 'k', value: '1', revision: 2 }] },
  ]);
});

t.test('cut off while a call is on its way: it was done or not, and rejects', async (t) => {
  const queue: (() => void)[] = [];
  const shared = memoryDirectory({ later: (run) => void queue.push(run) });
  const directory = shared.client();
  const lost = directory.commit({ writes: [{ key: 'lost', value: '1' }] });
  directory.cut();
  queue.shift()!();
  await t.rejects(lost, { code: 'WEAVE_DIRECTORY_UNREACHABLE' });
  directory.heal();
  const done = directory.commit({ writes: [{ key: 'done', value: '1' }] });
  queue.shift()!();
  directory.cut();
  queue.shift()!();
  await t.rejects(done, { code: 'WEAVE_DIRECTORY_UNREACHABLE' });
  t.match(shared.entries(), [{ key: 'done' }]);
  t.equal(shared.entries().length, 1);
});

t.test('cut off while news is on its way: it comes when healed; what was undone meanwhile is not told', async (t) => {
  const shared = memoryDirectory();
  const [directory, other] = [shared.client(), shared.client()];
  const told: string[] = [];
  const reached: boolean[] = [];
  directory.follow('k', (news) => told.push(...news.entries.map(({ value }) => value)));
  directory.onReach((reachable) => reached.push(reachable));
  await settled();
  const committed = other.commit({ writes: [{ key: 'k', value: '1' }] });
  while (shared.entries().length === 0) await Promise.resolve();
  directory.cut();
  directory.heal();
  directory.cut();
  await settled();
  t.strictSame([await committed, told, reached], [2, [], [true, false]]);
  directory.heal();
  directory.cut();
  directory.heal();
  await settled();
  t.strictSame([told, reached], [['1'], [true, false, true]]);
});

t.test('its data lost, it begins with the revisions of a new one', async (t) => {
  const shared = memoryDirectory();
  const directory = shared.client();
  const write = (value: string) => directory.commit({ writes: [{ key: 'k', value }] });
  t.strictSame([await write('1'), await write('2')], [2, 3]);
  shared.loseData();
  t.equal(await write('3'), 2);
});

t.test('held back, calls and news wait; the lease of a client expires when it is told to', async (t) => {
  const shared = memoryDirectory();
  const [directory, other] = [shared.client(), shared.client()];
  const told: string[] = [];
  directory.follow('k', (news) => told.push(...news.entries.map(({ value }) => value)));
  await directory.commit({ writes: [{ key: 'k1', value: '1', leased: true }] });
  await settled();
  directory.hold();
  let answered = false;
  const late = directory.list('').then(() => {
    answered = true;
  });
  for (const value of ['2', '3']) await other.commit({ writes: [{ key: 'k2', value }] });
  await settled();
  t.strictSame([answered, told], [false, ['1']]);
  directory.release();
  await late;
  t.strictSame(told, ['1', '2', '3']);
  shared.expireLeases();
  t.equal(shared.entries('k1').length, 1, 'without a clock none expires by itself');
  directory.expireLease();
  t.equal(shared.entries('k1').length, 0);
  await directory.commit({ writes: [{ key: 'k1', value: '4', leased: true }] });
  t.equal(shared.entries('k1').length, 1, 'a new lease');
});

t.test('keys stay in order, whatever order they come and go in', async (t) => {
  const shared = memoryDirectory();
  const directory = shared.client();
  const there = new Set<string>();
  let random = 1;
  for (let n = 0; n < 20_000; n++) {
    random = (random * 48_271) % 2_147_483_647;
    const key = `${random % 4_000}`;
    if (random % 3 === 0) there.delete(key);
    else there.add(key);
    void directory.commit({ writes: [random % 3 === 0 ? { key, value: null } : { key, value: '.' }] });
  }
  await directory.list('');
  for (const prefix of ['', '1', '39', '3999', '7', 'x']) {
    const expected = [...there].filter((key) => key.startsWith(prefix)).sort();
    t.strictSame(
      shared.entries(prefix).map(({ key }) => key),
      expected,
      `under "${prefix}"`,
    );
  }
});
