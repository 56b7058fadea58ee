import { randomBytes } from 'node:crypto';
import { isIP, SocketAddress } from 'node:net';

/** One element of DER: its tag, the length, what is in it. */
export function element(tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const size = Buffer.from(
    body.length.toString(16).padStart(body.length > 0xffff ? 6 : body.length > 0xff ? 4 : 2, '0'),
    'hex',
  );
  const length = body.length < 0x80 ? size : Buffer.concat([Buffer.from([0x80 | size.length]), size]);
  return Buffer.concat([Buffer.from([tag]), length, body]);
}

export const sequence = (...content: Buffer[]) => element(0x30, ...content);
export const set = (...content: Buffer[]) => element(0x31, ...content);
export const integer = (bytes: Buffer) => element(0x02, bytes);
export const truth = (value: boolean) => element(0x01, Buffer.from([value ? 0xff : 0]));
export const octets = (...content: Buffer[]) => element(0x04, ...content);
export const bits = (content: Buffer, unused = 0) => element(0x03, Buffer.from([unused]), content);
export const text = (value: string) => element(0x0c, Buffer.from(value));
export const utcTime = (value: string) => element(0x17, Buffer.from(value));
export const generalizedTime = (value: string) => element(0x18, Buffer.from(value));
/** Of a context: `[0]`, `[1]` …, with other elements in it or plain. */
export const tagged = (number: number, ...content: Buffer[]) => element(0xa0 | number, ...content);
export const plain = (number: number, content: Buffer) => element(0x80 | number, content);

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let left = value >> 7; left > 0; left >>= 7) digits.unshift(0x80 | (left & 0x7f));
  return digits;
}

/** Sixteen random bytes that are no negative number, nor begin with a zero. */
export function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes;
}

/** An address as the bytes that it is; undefined for a name. */
export function addressBytes(address: string): Buffer | undefined {
  const family = isIP(address);
  if (family === 4) return Buffer.from(address.split('.').map(Number));
  if (family === 0) return undefined;
  const [head = '', tail] = new SocketAddress({ address, family: 'ipv6' }).address.split('::');
  const groups = (part: string | undefined) => (part ? part.split(':').flatMap(groupBytes) : []);
  const before = groups(head);
  const after = groups(tail);
  return Buffer.from([...before, ...Array(16 - before.length - after.length).fill(0), ...after]);
}

function groupBytes(group: string): number[] {
  if (group.includes('.')) return group.split('.').map(Number);
  const value = Number.parseInt(group, 16);
  return [value >> 8, value & 0xff];
}
