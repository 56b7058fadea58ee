import { LEASE_SECONDS } from '../model.ts';
import { same } from './contract.ts';
import { contractCase } from './directory-bench.ts';

export const leaseCases = [
  contractCase('a leased key stays while its writer lives, and goes when it is dead', async (bench) => {
    const { open, cut, put, follow, until, passes, valuesOf } = bench;
    const [alive, dead, other] = [await open(), await open(), await open()];
    await put(dead, 'peer/dead', 'lasting');
    await put(dead, 'alive/dead', '.', { leased: true });
    await put(dead, 'alive/second', '.', { leased: true });
    await put(alive, 'alive/alive', '.', { leased: true });
    const following = follow(other, 'alive/');
    await until(() => following.values.size === 3, 'they are there');
    await passes(LEASE_SECONDS + 2);
    same(following.told.slice(1).includes('-'), false, 'they live');
    await cut(dead);
    await passes(1);
    same(following.values.size, 3, 'not at once');
    await until(() => following.values.size === 1, 'they go');
    same(await valuesOf(other, ''), { 'peer/dead': 'lasting', 'alive/alive': '.' }, 'these, and nothing else');
  }),

  contractCase('a leased key stays when its writer was cut off for a moment', async (bench) => {
    const { open, cut, heal, put, follow, until, passes } = bench;
    const [directory, other] = [await open(), await open()];
    await put(directory, 'alive/x', '.', { leased: true });
    const following = follow(other, 'alive/');
    await until(() => following.values.size === 1, 'it is there');
    await cut(directory);
    await passes(LEASE_SECONDS / 4);
    await heal(directory);
    await passes(LEASE_SECONDS + 2);
    same(following.told, ['all'], 'nothing happened');
  }),

  contractCase(
    'a lease that was lost is replaced: its writer sees the key go, and can write it again',
    async (bench) => {
      const { open, cut, heal, put, follow, until, passes, valuesOf } = bench;
      const [directory, other] = [await open(), await open()];
      await put(directory, 'alive/x', 'first', { leased: true });
      const own = follow(directory, 'alive/');
      await until(() => own.values.size === 1, 'it is there');
      await cut(directory);
      await until(async () => (await other.list('alive/')).entries.length === 0, 'it went');
      await heal(directory);
      await until(() => own.values.size === 0, 'its writer is told');
      const again = () => put(directory, 'alive/x', 'second', { leased: true });
      await until(() => again().then(Boolean, () => false), 'it is written again');
      await passes(LEASE_SECONDS + 2);
      same(await valuesOf(other, 'alive/'), { 'alive/x': 'second' }, 'and lives');
    },
  ),

  contractCase('closed, its leased keys go at once only if it says so', async (bench) => {
    const { open, put, follow, until, settle, valuesOf } = bench;
    const [staying, ending, other] = [await open(), await open(), await open()];
    await put(staying, 'alive/staying', '.', { leased: true });
    await put(ending, 'alive/ending', '.', { leased: true });
    await put(ending, 'lasting', '.');
    const following = follow(other, 'alive/');
    await until(() => following.values.size === 2, 'both are there');
    await staying.close();
    await ending.close({ endLease: true });
    await settle();
    same(await valuesOf(other, ''), { 'alive/staying': '.', lasting: '.' }, 'one went');
    await until(() => following.values.size === 0, 'the other expires');
  }),

  contractCase('a key is leased as it was last written', async ({ open, put, until, valuesOf }) => {
    const [directory, heir, other] = [await open(), await open(), await open()];
    for (const key of ['k/lasting', 'k/inherited', 'k/leased']) await put(directory, key, 'first', { leased: true });
    await put(directory, 'k/later', 'first');
    await put(directory, 'k/lasting', 'second');
    await put(heir, 'k/inherited', 'second', { leased: true });
    await put(heir, 'k/later', 'second', { leased: true });
    await directory.close({ endLease: true });
    const expected = { 'k/lasting': 'second', 'k/inherited': 'second', 'k/later': 'second' };
    same(await valuesOf(other, ''), expected, 'the first is gone');
    await heir.close({ endLease: true });
    await until(async () => (await other.list('')).entries.length === 1, 'so is the other');
    same(await valuesOf(other, ''), { 'k/lasting': 'second' }, 'what is left');
  }),
];
