import { randomBytes } from 'node:crypto';

/** Names the protocol and its version. */
const MARK = Buffer.from('WvP1');
const PROBE = 1;
const ECHO = 2;
const NONCE = 16;
/** Of a message: the mark, what it is, and the nonce. An echo is nothing else, so that it is never larger than its probe. */
export const LEAST = MARK.length + 1 + NONCE;

export interface Message {
  isEcho: boolean;
  /** Of the probe: who has not seen that cannot answer it. */
  nonce: string;
}

/** A probe of this many bytes, with a nonce of its own. */
export function probeOf(bytes: number): { nonce: string; message: Buffer } {
  const message = Buffer.alloc(bytes);
  const nonce = randomBytes(NONCE);
  Buffer.concat([MARK, Buffer.of(PROBE), nonce]).copy(message);
  return { nonce: nonce.toString('hex'), message };
}

export const echoOf = (nonce: string): Buffer => Buffer.concat([MARK, Buffer.of(ECHO), Buffer.from(nonce, 'hex')]);

/** Undefined for what is none of ours. */
export function parse(message: Buffer): Message | undefined {
  const kind = message[MARK.length];
  const isOurs = message.length >= LEAST && message.subarray(0, MARK.length).equals(MARK);
  if (!isOurs || (kind !== PROBE && kind !== ECHO)) return undefined;
  return { isEcho: kind === ECHO, nonce: message.toString('hex', MARK.length + 1, LEAST) };
}
