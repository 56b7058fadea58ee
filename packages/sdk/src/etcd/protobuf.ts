/** What a field holds; in an array: any number of them. A text may be bytes in the protocol, where these are UTF-8. */
type Kind = 'int' | 'bool' | 'text' | 'bytes' | Shape<Fields> | readonly [Shape<Fields>];
type Fields = Readonly<Record<string, readonly [number: number, kind: Kind]>>;

/** What a message looks like: its fields by name and by number. What is not in it is skipped when read. */
export interface Shape<F extends Fields> {
  readonly fields: F;
  readonly byNumber: ReadonlyMap<number, { readonly name: string; readonly kind: Kind }>;
}

type ValueOf<K> = K extends 'int'
  ? number
  : K extends 'bool'
    ? boolean
    : K extends 'text'
      ? string
      : K extends 'bytes'
        ? Uint8Array
        : K extends readonly [infer Each]
          ? Read<Each>[]
          : Read<K> | undefined;

/** As it is read: what was not there is 0, false, empty or, for a message, undefined. */
export type Read<S> = S extends Shape<infer F> ? { [N in keyof F]: ValueOf<F[N][1]> } : never;

type Writable<K> = K extends readonly [infer Each]
  ? Written<Each>[]
  : K extends Shape<Fields>
    ? Written<K>
    : ValueOf<K>;

/** As it is written: what is absent is not there. */
export type Written<S> = S extends Shape<infer F> ? { [N in keyof F]?: Writable<F[N][1]> | undefined } : never;

export type AnyShape = Shape<Fields>;

export function shape<const F extends Fields>(fields: F): Shape<F> {
  const byNumber = new Map(Object.entries(fields).map(([name, [number, kind]]) => [number, { name, kind }]));
  return { fields, byNumber };
}

const VARINT = 0;
const DELIMITED = 2;
/** Bytes of the types that have a width. */
const WIDTHS: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

export function encode<S extends AnyShape>({ fields }: S, message: Written<S>): Buffer {
  const parts: Uint8Array[] = [];
  for (const [name, value] of Object.entries(message)) {
    const [number, kind] = fields[name]!;
    if (Array.isArray(kind)) for (const each of value as object[]) parts.push(...fieldOf(number, kind[0], each));
    else if (value !== undefined) parts.push(...fieldOf(number, kind as Kind, value));
  }
  return Buffer.concat(parts);
}

function fieldOf(number: number, kind: Kind, value: unknown): Uint8Array[] {
  if (kind === 'int' || kind === 'bool') return [varint(number * 8 + VARINT), varint(Number(value))];
  const bytes = bytesOf(kind, value);
  return [varint(number * 8 + DELIMITED), varint(bytes.length), bytes];
}

function bytesOf(kind: Kind, value: unknown): Uint8Array {
  if (kind === 'text') return Buffer.from(value as string);
  return kind === 'bytes' ? (value as Uint8Array) : encode(kind as AnyShape, value as object);
}

/** Not for negative numbers, which etcd wants from nobody. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return Uint8Array.of(...bytes, rest);
}

export function decode<S extends AnyShape>(shape: S, bytes: Uint8Array): Read<S> {
  return read(shape, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)) as Read<S>;
}

function read({ fields, byNumber }: AnyShape, bytes: Buffer): object {
  const message: Record<string, unknown> = {};
  for (const name in fields) message[name] = nothingOf(fields[name]![1]);
  const cursor = { bytes, at: 0 };
  while (cursor.at < bytes.length) {
    const tag = readVarint(cursor);
    const content = readContent(cursor, tag % 8);
    const field = byNumber.get(Math.floor(tag / 8));
    if (!field) continue;
    const { name, kind } = field;
    if (Array.isArray(kind)) (message[name] as unknown[]).push(contentOf(kind[0], content));
    else message[name] = contentOf(kind as Kind, content);
  }
  return message;
}

interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

function readVarint(cursor: Cursor): number {
  const from = cursor.at;
  let value = 0;
  for (let scale = 1; ; scale *= 0x80) {
    const byte = cursor.bytes[cursor.at++];
    if (byte === undefined) throw new Error('a message of etcd ends in the middle');
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  // So large, or negative: a double has lost its last bits.
  return cursor.at - from < 8 ? value : exactly(cursor.bytes.subarray(from, cursor.at));
}

function exactly(bytes: Uint8Array): number {
  const value = bytes.reduceRight((sum, byte) => (sum << 7n) + BigInt(byte & 0x7f), 0n);
  return Number(BigInt.asIntN(64, value));
}

function readContent(cursor: Cursor, type: number): number | Buffer {
  if (type === VARINT) return readVarint(cursor);
  const length = type === DELIMITED ? readVarint(cursor) : WIDTHS[type];
  if (length === undefined) throw new Error(`a message of etcd has a field of type ${type}`);
  const from = cursor.at;
  cursor.at += length;
  if (cursor.at > cursor.bytes.length) throw new Error('a message of etcd ends in the middle');
  return cursor.bytes.subarray(from, cursor.at);
}

function nothingOf(kind: Kind): unknown {
  if (Array.isArray(kind)) return [];
  return { int: 0, bool: false, text: '', bytes: EMPTY }[kind as string];
}

const EMPTY = new Uint8Array();

function contentOf(kind: Kind, content: number | Buffer): unknown {
  if (typeof content === 'number') return kind === 'bool' ? content !== 0 : content;
  if (kind === 'text') return content.toString();
  return kind === 'bytes' ? content : read(kind as AnyShape, content);
}
