import { TRANSACTION_CHARACTERS, TRANSACTION_ROOM } from '../model.ts';
import type { Write } from '../ports.ts';
import { holds, same } from './contract.ts';
import { contractCase } from './directory-bench.ts';

const numbered = (count: number, prefix: string): Write[] =>
  Array.from({ length: count }, (_, n) => ({ key: `${prefix}${n}`, value: `${n}` }));

export const commitCases = [
  contractCase('is empty at first; what is written is listed, with its revision', async ({ open, put }) => {
    const directory = await open();
    same((await directory.list('')).entries, [], 'at first');
    const first = await put(directory, 'peer/a', '1');
    const second = await put(directory, 'peer/b', '2');
    holds(second > first && first > 0, 'revisions go up');
    const { entries, revision } = await (await open()).list('peer/');
    const expected = [
      { key: 'peer/a', value: '1', revision: first },
      { key: 'peer/b', value: '2', revision: second },
    ];
    same(
      [...entries].sort((a, b) => a.revision - b.revision),
      expected,
      'by another host',
    );
    same(revision, second, 'as of the last');
  }),

  contractCase('a prefix is no more than that: a key is one, and none ends at a slash', async (bench) => {
    const { open, put, valuesOf } = bench;
    const directory = await open();
    for (const key of ['a', 'a/', 'a/b', 'ab', 'b', 'a\u{10ffff}', 'Ä/x']) await put(directory, key, '.');
    const keysUnder = async (prefix: string) => Object.keys(await valuesOf(directory, prefix)).sort();
    same(await keysUnder('a/'), ['a/', 'a/b'], 'a/');
    same(await keysUnder('a'), ['a', 'a/', 'a/b', 'ab', 'a\u{10ffff}'].sort(), 'a');
    same(await keysUnder('a\u{10ffff}'), ['a\u{10ffff}'], 'the last of all characters');
    same(await keysUnder('Ä'), ['Ä/x'], 'more than one byte');
    same(await keysUnder('c'), [], 'none');
    same((await keysUnder('')).length, 7, 'all');
  }),

  contractCase('a key as it was last seen: only then is it written', async ({ open, put, valuesOf }) => {
    const directory = await open();
    const write = (revision: number, value: string) =>
      directory.commit({ when: [{ key: 'k', revision }], writes: [{ key: 'k', value }] });
    const first = await write(0, 'one');
    holds(first !== undefined, 'it was not there');
    same(await write(0, 'two'), undefined, 'it is there');
    const second = await write(first!, 'two');
    holds(second !== undefined && second > first!, 'it is as it was');
    same(await write(first!, 'three'), undefined, 'it is not as it was');
    same(await valuesOf(directory, 'k'), { k: 'two' }, 'nothing changed');
    const removing: Write[] = [{ key: 'k', value: null }];
    holds(
      (await directory.commit({ when: [{ key: 'k', revision: second! }], writes: removing })) !== undefined,
      'gone',
    );
    same(await write(second!, 'three'), undefined, 'it is not there');
    await put(directory, 'other', 'x');
    holds((await write(0, 'again')) !== undefined, 'what else is written does not matter');
  }),

  contractCase('nothing under a prefix: only then is it written', async ({ open, put, valuesOf }) => {
    const directory = await open();
    const claim = (value: string) =>
      directory.commit({ when: [{ none: 'net/1/' }], writes: [{ key: 'net/1/claim', value }] });
    await put(directory, 'net/10/x', '.');
    await put(directory, 'net/1', '.');
    holds((await claim('a')) !== undefined, 'neighbours are not under it');
    same(await claim('b'), undefined, 'there is something');
    same(await valuesOf(directory, 'net/1/'), { 'net/1/claim': 'a' }, 'nothing changed');
    await directory.commit({ writes: [{ key: 'net/1/claim', value: null }] });
    holds((await claim('c')) !== undefined, 'gone again');
  }),

  contractCase('all conditions, and all writes or none', async ({ open, put, valuesOf }) => {
    const directory = await open();
    const revision = await put(directory, 'a', '1');
    const writes: Write[] = [
      { key: 'a', value: null },
      { key: 'b', value: '2' },
      { key: 'c', value: '3' },
    ];
    const failing = { when: [{ key: 'a', revision }, { none: 'a' }], writes };
    same(await directory.commit(failing), undefined, 'one does not hold');
    same(await valuesOf(directory, ''), { a: '1' }, 'nothing changed');
    const done = await directory.commit({ when: [{ key: 'a', revision }, { none: 'x/' }], writes });
    const { entries } = await directory.list('');
    same(
      entries.map((entry) => [entry.key, entry.revision]),
      [
        ['b', done],
        ['c', done],
      ],
      'one revision',
    );
  }),

  contractCase('conditions alone, and nothing at all, can be committed', async ({ open, put, valuesOf }) => {
    const directory = await open();
    const revision = await put(directory, 'a', '1');
    same(await directory.commit({ when: [{ key: 'a', revision }], writes: [] }), revision, 'it holds');
    same(await directory.commit({ when: [{ none: 'a' }], writes: [] }), undefined, 'it does not');
    same(await directory.commit({ writes: [] }), revision, 'nothing');
    same(await directory.commit({ writes: [{ key: 'no', value: null }] }), revision, 'what is not there goes');
    same(await valuesOf(directory, ''), { a: '1' }, 'unchanged');
  }),

  contractCase('a prefix goes, whole, and nothing else', async ({ open, valuesOf }) => {
    const directory = await open();
    await directory.commit({ writes: [...numbered(100, 'p/q/'), ...numbered(2, 'p'), { key: 'p/', value: '.' }] });
    await directory.commit({
      writes: [
        { prefix: 'p/q/', value: null },
        { prefix: 'nothing/', value: null },
        { key: 'r', value: 'new' },
      ],
    });
    same(await valuesOf(directory, ''), { p0: '0', p1: '1', 'p/': '.', r: 'new' }, 'what is left');
  }),

  contractCase('of many that want the same, each change is one’s alone', async ({ open, put, valuesOf }) => {
    const first = await open();
    await put(first, 'count', '0');
    const increment = async (directory: typeof first) => {
      for (;;) {
        const [entry] = (await directory.list('count')).entries;
        const when = [{ key: 'count', revision: entry!.revision }];
        const writes = [{ key: 'count', value: String(Number(entry!.value) + 1) }];
        if ((await directory.commit({ when, writes })) !== undefined) return;
      }
    };
    const directories = [first, await open(), await open()];
    await Promise.all(directories.flatMap((directory) => [increment(directory), increment(directory)]));
    same(await valuesOf(first, 'count'), { count: '6' }, 'none is lost');
  }),

  contractCase(
    'text of every kind stays as it is, in keys and in values',
    async ({ open, follow, until, valuesOf }) => {
      const directory = await open();
      const texts = [
        'köln',
        '网络',
        '🕸️',
        '"quoted"',
        'a\nb',
        '\u0000',
        'null',
        ' ',
        '\u{10ffff}',
        '\uffff',
        'x'.repeat(100_000),
      ];
      const following = follow(directory, 't');
      const expected = Object.fromEntries(texts.map((text) => [`t/${text.slice(0, 100)}`, text]));
      await directory.commit({
        writes: [{ key: 't', value: '' }, ...Object.entries(expected).map(([key, value]) => ({ key, value }))],
      });
      same(await valuesOf(directory, 't'), { ...expected, t: '' }, 'listed');
      await until(() => following.values.size === texts.length + 1, 'followed');
      same(Object.fromEntries(following.values), { ...expected, t: '' }, 'followed');
      await directory.commit({ writes: Object.keys(expected).map((key) => ({ key, value: null })) });
      same(await valuesOf(directory, 't'), { t: '' }, 'removed');
    },
  ),

  contractCase('a transaction has so much room; what is more is refused, and nothing done', async (bench) => {
    const { open, rejects, valuesOf } = bench;
    const directory = await open();
    const conditions = Array.from({ length: 28 }, (_, n) => ({ none: `none/${n}` }));
    const full = { when: conditions, writes: numbered(TRANSACTION_ROOM - 28, 'full/') };
    holds((await directory.commit(full)) !== undefined, 'full');
    const tooMany = { when: conditions, writes: numbered(TRANSACTION_ROOM - 27, 'more/') };
    await rejects(directory.commit(tooMany), 'WEAVE_BUG', 'one too many');
    const room = '网'.repeat(TRANSACTION_CHARACTERS - 5);
    holds((await directory.commit({ writes: [{ key: 'large', value: room }] })) !== undefined, 'large');
    await rejects(directory.commit({ writes: [{ key: 'larger', value: room }] }), 'WEAVE_BUG', 'too large');
    const twice: Write[] = [{ key: 'a', value: '1' }];
    await rejects(directory.commit({ writes: [...twice, { key: 'a', value: null }] }), 'WEAVE_BUG', 'a key twice');
    await rejects(directory.commit({ writes: [...twice, { prefix: '', value: null }] }), 'WEAVE_BUG', 'under a prefix');
    same(Object.keys(await valuesOf(directory, '')).length, TRANSACTION_ROOM - 28 + 1, 'nothing more');
  }),

  contractCase('a long list is of one revision, whatever is written meanwhile', async ({ open }) => {
    const [directory, other] = [await open(), await open()];
    for (let from = 0; from < 3000; from += 100)
      await directory.commit({
        writes: numbered(100, '').map((write, n) => ({ ...write, key: `many/${from + n}` }) as Write),
      });
    // The first and the last key always have the same value.
    let writing = true;
    const writer = (async () => {
      for (let n = 0; writing; n++)
        await other.commit({ writes: ['many/', 'many/~'].map((key) => ({ key, value: `${n}` })) });
    })();
    for (let round = 0; round < 10; round++) {
      const { entries } = await directory.list('many/');
      const values = new Map(entries.map(({ key, value }) => [key, value]));
      same(
        [values.get('many/'), values.size - (values.has('many/') ? 2 : 0)],
        [values.get('many/~'), 3000],
        'as of one revision',
      );
    }
    writing = false;
    await writer;
  }),
];
