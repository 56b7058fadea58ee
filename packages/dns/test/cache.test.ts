import { test } from 'tap';
import { createCache } from '../src/cache.ts';

const answer = (size: number) => Buffer.alloc(size, 1);

test('an answer is kept for its time, and knows its age', async (t) => {
  let now = 0;
  const cache = createCache({ bytes: 10_000, now: () => now });
  cache.put('a', answer(10), 5);
  now = 4999;
  t.strictSame(cache.get('a'), { answer: answer(10), age: 4 });
  now = 5000;
  t.equal(cache.get('a'), undefined);
});

test('of too many those go that were not asked for the longest', async (t) => {
  const cache = createCache({ bytes: 3 * 1300, now: () => 0 });
  for (const key of ['a', 'b', 'c']) cache.put(key, answer(1000), 5);
  cache.get('a');
  cache.put('d', answer(1000), 5);
  t.strictSame(
    ['a', 'b', 'c', 'd'].filter((key) => cache.get(key)),
    ['a', 'c', 'd'],
  );
});

test('its size does not grow by putting again, nor by what is too old', async (t) => {
  let now = 0;
  const cache = createCache({ bytes: 3 * 1300, now: () => now });
  for (let i = 0; i < 100; i++) cache.put('a', answer(1000), 5);
  cache.put('b', answer(1000), 5);
  now = 6000;
  cache.get('a');
  cache.get('b');
  for (const key of ['c', 'd', 'e']) cache.put(key, answer(1000), 5);
  t.ok(['c', 'd', 'e'].every((key) => cache.get(key)));
});

test('what is larger than all of it is not kept', async (t) => {
  const cache = createCache({ bytes: 500, now: () => 0 });
  cache.put('a', answer(1000), 5);
  t.equal(cache.get('a'), undefined);
});

test('an answer is a copy: what it was read into may be used again', async (t) => {
  const cache = createCache({ bytes: 5000, now: () => 0 });
  const read = answer(10);
  cache.put('a', read, 5);
  read.fill(9);
  t.strictSame(cache.get('a')?.answer, answer(10));
});
