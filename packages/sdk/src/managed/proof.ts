import { createHmac, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** Of a guess this is the price: some 50 ms and 32 MB. */
const COST = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
const stretch = promisify<string, Buffer, number, typeof COST, Buffer>(scrypt);

/** What both derive from the password. The answering host chooses the salt, so that it has to do this once. */
export const keyOf = (password: string, salt: string): Promise<Buffer> =>
  stretch(password.normalize('NFC'), Buffer.from(`weave join ${salt}`), 32, COST);

const KEYS_MAX = 64;

/** The same, remembered: hosts meet again. */
export function keysOf(password: string): (salt: string) => Promise<Buffer> {
  const keys = new Map<string, Promise<Buffer>>();
  return (salt) => {
    const key = keys.get(salt) ?? keyOf(password, salt);
    keys.delete(salt);
    keys.set(salt, key);
    if (keys.size > KEYS_MAX) keys.delete(keys.keys().next().value!);
    return key;
  };
}

/** What a proof is about: nobody can use it on another connection, the other way round, or again. */
export interface Bound {
  /** Keying material that only the two ends of this TLS connection have. */
  readonly channel: Buffer;
  readonly asks: { readonly peer: string; readonly nonce: string };
  readonly answers: { readonly peer: string; readonly nonce: string };
}

/** Shows that its maker has the key, on this connection, as this one of the two. */
export function proofOf(key: Buffer, role: 'asks' | 'answers', { channel, asks, answers }: Bound): string {
  const about = [role, channel.toString('hex'), asks.peer, asks.nonce, answers.peer, answers.nonce];
  return createHmac('sha256', key).update(JSON.stringify(about)).digest('hex');
}

export function isProof(given: string, key: Buffer, role: 'asks' | 'answers', bound: Bound): boolean {
  const wanted = Buffer.from(proofOf(key, role, bound));
  const proof = Buffer.from(given);
  return proof.length === wanted.length && timingSafeEqual(proof, wanted);
}

/** So many wrong passwords from one address, and in all, and then one per second. */
const TRIES = { address: 5, all: 100 };
const REGAIN_MS = 1000;
const ADDRESSES_MAX = 1024;

/** Bounds how often passwords are guessed. */
export function guessLimit(now: () => number = () => performance.now()) {
  const spent = new Map<string, { tries: number; at: number }>();
  const left = (who: string, most: number) => {
    const { tries, at } = spent.get(who) ?? { tries: 0, at: 0 };
    return most - Math.max(0, tries - (now() - at) / REGAIN_MS);
  };
  const spend = (who: string, most: number) => {
    const tries = most - left(who, most) + 1;
    spent.delete(who);
    spent.set(who, { tries, at: now() });
    if (spent.size > ADDRESSES_MAX) spent.delete(spent.keys().next().value!);
  };
  return {
    allows: (address: string) => left(address, TRIES.address) >= 1 && left('all', TRIES.all) >= 1,
    wrong(address: string) {
      spend('all', TRIES.all);
      spend(address, TRIES.address);
    },
  };
}
