import { t } from 'tap';
import { type Bound, guessLimit, isProof, keyOf, proofOf } from '../../src/managed/proof.ts';

const bound = (more: Partial<Bound> = {}): Bound => ({
  channel: Buffer.alloc(32, 1),
  asks: { peer: 'a', nonce: '01' },
  answers: { peer: 'b', nonce: '02' },
  ...more,
});

t.test('a proof is of one key, role, connection, pair of hosts and pair of nonces', async (t) => {
  const key = await keyOf('a password', '00');
  const proof = proofOf(key, 'asks', bound());
  t.equal(isProof(proof, key, 'asks', bound()), true);
  t.equal(isProof(proof, await keyOf('a passwort', '00'), 'asks', bound()), false);
  t.equal(isProof(proof, await keyOf('a password', '01'), 'asks', bound()), false);
  t.equal(isProof(proof, key, 'answers', bound()), false);
  t.equal(isProof(proof, key, 'asks', bound({ channel: Buffer.alloc(32, 2) })), false);
  t.equal(isProof(proof, key, 'asks', bound({ asks: { peer: 'c', nonce: '01' } })), false);
  t.equal(isProof(proof, key, 'asks', bound({ answers: { peer: 'b', nonce: '03' } })), false);
  t.equal(isProof('', key, 'asks', bound()), false);
});

t.test('guesses run out, and come back', async (t) => {
  let now = 0;
  const limit = guessLimit(() => now);
  for (let guess = 0; guess < 5; guess++) {
    t.equal(limit.allows('x'), true);
    limit.wrong('x');
  }
  t.equal(limit.allows('x'), false);
  t.equal(limit.allows('y'), true, 'only for that address');
  now += 1100;
  t.equal(limit.allows('x'), true);
  limit.wrong('x');
  t.equal(limit.allows('x'), false);
  for (let guess = 0; guess < 100; guess++) limit.wrong(`from ${guess}`);
  t.equal(limit.allows('y'), false, 'nor from everywhere at once');
});
