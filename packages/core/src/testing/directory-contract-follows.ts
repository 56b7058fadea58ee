import { same } from './contract.ts';
import { contractCase } from './directory-bench.ts';

const upTo = (count: number) => Array.from({ length: count }, (_, n) => `${n}`);

export const followCases = [
  contractCase('everything is told first, then each change, in order', async ({ open, put, follow, until }) => {
    const [directory, other] = [await open(), await open()];
    await put(other, 'net/a', 'before');
    await put(other, 'elsewhere', 'x');
    const following = follow(directory, 'net/');
    await until(() => following.told.length > 0, 'everything');
    same(Object.fromEntries(following.values), { 'net/a': 'before' }, 'at first');
    for (const n of upTo(50)) await put(other, 'net/n', n);
    await other.commit({
      writes: [
        { key: 'net/n', value: null },
        { key: 'net/b', value: 'b' },
        { key: 'elsewhere', value: 'y' },
      ],
    });
    await put(other, 'net/n', 'again');
    await other.commit({ writes: [{ prefix: 'net/', value: null }] });
    await put(directory, 'net/mine', 'own changes too');
    await until(() => following.values.has('net/mine'), 'the last');
    const expected = ['all', ...upTo(50), '-', 'b', 'again', '-', '-', '-', 'own changes too'];
    same(following.told, expected, 'each, in order');
    same(Object.fromEntries(following.values), { 'net/mine': 'own changes too' }, 'at last');
  }),

  contractCase('a prefix that nobody wrote: nothing is told to be there, then what comes', async (bench) => {
    const { open, put, follow, until, settle } = bench;
    const directory = await open();
    const following = follow(directory, 'none/');
    await until(() => following.told.length > 0, 'everything');
    await put(directory, 'nobody', 'x');
    await settle();
    same([following.told, following.values.size], [['all'], 0], 'nothing');
    await put(directory, 'none/1', 'first');
    await until(() => following.values.size === 1, 'the first');
    same(following.told, ['all', 'first'], 'what comes');
  }),

  contractCase('what is written while a follower begins is told, once', async ({ open, put, follow, until }) => {
    const [directory, other] = [await open(), await open()];
    const followings = [];
    for (let n = 0; n < 10; n++) {
      const written = put(other, `k/${n}`, '.');
      followings.push(follow(directory, 'k/'));
      await written;
    }
    for (const following of followings) await until(() => following.values.size === 10, 'all ten');
  }),

  contractCase('many follow, each what it wants; one that ends hears nothing more', async (bench) => {
    const { open, put, follow, until, settle } = bench;
    const [directory, other] = [await open(), await open()];
    const [whole, some, same2, never] = ['', 'a/', 'a/', 'a/'].map((prefix) => follow(directory, prefix));
    const elsewhere = follow(other, 'a/');
    never!.end();
    await put(other, 'a/1', 'one');
    await put(other, 'b/1', 'two');
    const all = [whole!, some!, same2!, elsewhere];
    await until(() => all.every((each) => each.values.has('a/1')), 'told to all');
    await until(() => whole!.values.size === 2, 'and to the one that wants more');
    some!.end();
    some!.end();
    await put(other, 'a/1', 'three');
    await until(() => [whole!, same2!, elsewhere].every((each) => each.values.get('a/1') === 'three'), 'others go on');
    await settle();
    same([some!.values.get('a/1'), never!.told], ['one', []], 'ended');
  }),

  contractCase('a follower may end itself, and write, while it is told', async ({ open, put, until, settle }) => {
    const directory = await open();
    const told: string[] = [];
    const end = directory.follow('k', (news) => {
      told.push(news.kind);
      if (news.kind === 'all') void put(directory, 'k', 'x');
      else end();
    });
    await until(() => told.length === 2, 'both');
    await put(directory, 'k', 'y');
    await settle();
    same(told, ['all', 'changes'], 'no more');
  }),

  contractCase('cut off: it says so, and refuses; healed: nothing was left out', async (bench) => {
    const { open, cut, heal, put, follow, until, rejects, valuesOf } = bench;
    const [directory, other] = [await open(), await open()];
    const reached: boolean[] = [];
    const unheard: boolean[] = [];
    directory.onReach((reachable) => reached.push(reachable));
    const end = directory.onReach((reachable) => unheard.push(reachable));
    await until(() => reached.at(-1) === true, 'it answers');
    end();
    const before = [...unheard];
    const following = follow(directory, 'k/');
    await until(() => following.told.length > 0, 'it follows');
    await put(other, 'k/1', 'before');
    await until(() => following.values.size === 1, 'it is told');
    await cut(directory);
    await rejects(directory.list(''), 'WEAVE_DIRECTORY_UNREACHABLE', 'list');
    await rejects(directory.commit({ writes: [] }), 'WEAVE_DIRECTORY_UNREACHABLE', 'commit');
    await until(() => reached.at(-1) === false, 'it does not answer');
    for (const n of upTo(20)) await put(other, 'k/2', n);
    await other.commit({ writes: [{ key: 'k/1', value: null }] });
    const late = follow(directory, 'k/2');
    await bench.settle();
    same([following.told.length, late.told.length], [2, 0], 'nothing gets through');
    await heal(directory);
    await until(() => following.values.size === 1 && following.values.get('k/2') === '19', 'what was missed');
    await until(() => late.values.size === 1, 'who began meanwhile');
    await until(() => reached.at(-1) === true, 'it answers again');
    await put(directory, 'k/3', 'after');
    await until(() => following.values.has('k/3'), 'and on');
    const missed = following.told.slice(following.told.indexOf('before') + 1);
    same(missed.includes('all') ? 'all' : missed, missed.includes('all') ? 'all' : [...upTo(20), '-', 'after'], 'each');
    same(await valuesOf(directory, 'k/'), { 'k/2': '19', 'k/3': 'after' }, 'it can be asked');
    same(unheard, before, 'who ended is told nothing');
  }),

  contractCase('what was missed is forgotten: everything is told again', async (bench) => {
    const { open, cut, heal, compact, put, follow, until } = bench;
    const [directory, other] = [await open(), await open()];
    const [following, quiet, watching] = [follow(directory, 'k/'), follow(directory, 'quiet/'), follow(other, 'k/')];
    await put(other, 'k/1', 'before');
    await put(other, 'quiet/1', 'as it was');
    await until(() => [following, quiet, watching].every((each) => each.values.size === 1), 'they follow');
    await cut(directory);
    for (const n of upTo(20)) await put(other, 'k/2', n);
    await other.commit({ writes: [{ key: 'k/1', value: null }] });
    await compact();
    await heal(directory);
    await until(() => following.values.size === 1 && following.values.get('k/2') === '19', 'what is there now');
    same(following.told.at(-1), 'all', 'everything, again');
    await put(other, 'quiet/1', 'another');
    await put(other, 'k/2', 'after');
    await until(() => following.values.get('k/2') === 'after', 'and on');
    await until(() => quiet.values.get('quiet/1') === 'another', 'where nothing was missed too');
    await until(() => watching.values.get('k/2') === 'after', 'the other goes on');
    same(watching.told.filter((each) => each === 'all').length, 1, 'who was there is told nothing again');
  }),

  contractCase('its data is lost: that is told, and what comes after', async (bench) => {
    const { open, cut, heal, loseData, put, follow, until } = bench;
    const [directory, other, away] = [await open(), await open(), await open()];
    const followings = [directory, other, away].map((each) => follow(each, 'k/'));
    for (const n of upTo(20)) await put(other, `k/${n}`, n);
    await until(() => followings.every((each) => each.values.size === 20), 'they follow');
    await cut(away);
    await loseData();
    await until(() => followings.slice(0, 2).every((each) => each.values.size === 0), 'nothing is there');
    await until(() => put(other, 'k/new', 'anew').then(Boolean, () => false), 'it can be written');
    // So that there is a revision as the last that was told, and it means something else.
    for (const n of upTo(40)) await put(other, 'elsewhere', n);
    await heal(away);
    await until(() => followings.every((each) => each.values.get('k/new') === 'anew'), 'what comes after');
    same(
      followings.map((each) => each.values.size),
      [1, 1, 1],
      'and nothing of before',
    );
  }),

  contractCase('closed: it is told nothing more, and answers nothing', async (bench) => {
    const { open, put, follow, until, settle, rejects } = bench;
    const [directory, other] = [await open(), await open()];
    const reached: boolean[] = [];
    directory.onReach((reachable) => reached.push(reachable));
    const following = follow(directory, 'k/');
    await until(() => following.told.length > 0 && reached.length > 0, 'it follows');
    const before = [...reached];
    await directory.close();
    await directory.close();
    const late = follow(directory, 'k/');
    await put(other, 'k/1', 'x');
    await settle();
    same([following.values.size, late.told, reached], [0, [], before], 'nothing more');
    await rejects(directory.list(''), 'WEAVE_DIRECTORY_UNREACHABLE', 'list');
    await rejects(directory.commit({ writes: [] }), 'WEAVE_DIRECTORY_UNREACHABLE', 'commit');
  }),
];
