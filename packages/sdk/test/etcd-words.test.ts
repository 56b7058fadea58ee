import { type ServiceError, status } from '@grpc/grpc-js';
import { t } from 'tap';
import { asFailure } from '../src/etcd/failure.ts';
import { METHODS } from '../src/etcd/messages.ts';
import { decode, encode, shape } from '../src/etcd/protobuf.ts';
import { parseEtcdAddress } from '../src/etcd.ts';

const INNER = shape({ text: [1, 'text'], count: [2, 'int'] });
const OUTER = shape({
  number: [1, 'int'],
  flag: [2, 'bool'],
  text: [3, 'text'],
  bytes: [4, 'bytes'],
  one: [5, INNER],
  many: [6, [INNER]],
  far: [64, 'int'],
});
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

t.test('protocol buffers, byte by byte', async (t) => {
  t.equal(hex(encode(OUTER, { number: 150 })), '089601');
  t.equal(hex(encode(OUTER, { text: 'testing' })), '1a0774657374696e67');
  t.equal(hex(encode(OUTER, { one: { count: 150 } })), '2a03109601');
  t.equal(hex(encode(OUTER, { many: [{}, { text: 'ü' }] })), '3200' + '32040a02c3bc');
  t.equal(hex(encode(OUTER, { far: 1, flag: true, number: undefined, one: undefined })), '8004011001');
  t.equal(hex(encode(OUTER, {})), '');
});

t.test('what was written is read again', async (t) => {
  const nothing = { number: 0, flag: false, text: '', bytes: new Uint8Array(), one: undefined, many: [], far: 0 };
  t.strictSame(decode(OUTER, Buffer.alloc(0)), nothing);
  const message = {
    number: Number.MAX_SAFE_INTEGER,
    flag: true,
    text: '🕸️\0"',
    bytes: Buffer.from([0, 255, 128]),
    one: { text: 'x'.repeat(70_000), count: 127 },
    many: [128, 16_383, 16_384, 2 ** 31, 2 ** 32, 2 ** 47].map((count) => ({ text: '', count })),
    far: 2 ** 49,
  };
  t.same(decode(OUTER, encode(OUTER, message)), message);
});

t.test('negative numbers, and fields that nobody asked for, of every type', async (t) => {
  t.equal(decode(OUTER, bytes('08 ffffffffffffffffff01')).number, -1);
  t.equal(decode(OUTER, bytes('08 80808080f8ffffffff01')).number, -(2 ** 31));
  const unknown = ['7801', '79 0102030405060708', '7d 01020304', '7a 03 616263', 'fa7f 00'].join('');
  t.strictSame(decode(OUTER, bytes(`${unknown} 089601 ${unknown}`)).number, 150);
});

t.test('what ends in the middle is no message', async (t) => {
  const whole = encode(OUTER, { number: 150, text: 'text', one: { text: 'inner' } });
  const ends = [3, 9].concat(whole.length);
  for (let end = 1; end <= whole.length; end++)
    if (ends.includes(end)) t.ok(decode(OUTER, whole.subarray(0, end)));
    else t.throws(() => decode(OUTER, whole.subarray(0, end)), /ends in the middle/, `${end}`);
  t.throws(() => decode(OUTER, bytes('0b')), /type 3/);
});

t.test('what etcd is asked, by its field numbers', async (t) => {
  const { request } = METHODS.range;
  t.equal(
    hex(encode(request, { key: 'a', rangeEnd: bytes('61ff'), limit: 3, revision: 4 })),
    '0a0161' + '120261ff' + '1803' + '2004',
  );
  t.equal(METHODS.keepAlive.path, '/etcdserverpb.Lease/LeaseKeepAlive');
});

t.test('an etcd as it is written', async (t) => {
  const plain = { isSecure: false };
  for (const [text, expected] of [
    ['etcd://h1:2379,h2:2380', { endpoints: ['h1:2379', 'h2:2380'], ...plain }],
    ['etcd://h1', { endpoints: ['h1:2379'], ...plain }],
    ['etcds://h1.example.org:1,10.0.0.1:65535/', { endpoints: ['h1.example.org:1', '10.0.0.1:65535'], isSecure: true }],
    ['etcd://[fd00::1]:2379,[::1]', { endpoints: ['[fd00::1]:2379', '[::1]:2379'], ...plain }],
    ['etcd://h1,h1:2379', { endpoints: ['h1:2379'], ...plain }],
  ] as const)
    t.strictSame(parseEtcdAddress(text), expected, text);
  for (const [text, why] of [
    ['', /no etcd/],
    ['h1:2379', /no etcd/],
    ['http://h1:2379', /no etcd/],
    ['etcd://', /"" is not host:port/],
    ['etcd://h1,,h2', /"" is not host:port/],
    ['etcd://h1:', /"h1:" is not host:port/],
    ['etcd://h1:x', /"h1:x" is not host:port/],
    ['etcd://h1:0', /0 is no port/],
    ['etcd://h1:65536', /65536 is no port/],
    ['etcd://fd00::1', /"fd00::1" is not host:port/],
    ['etcd://[h1]:2379', /h1 is no IPv6 address/],
    ['etcd://h1/path', /is not host:port/],
    ['etcd://h1, h2', /" h2" is not host:port/],
    ['etcd://me:secret@h1:2379', /^[^:@]*--store-user$/],
  ] as const)
    t.throws(() => parseEtcdAddress(text), { code: 'WEAVE_INVALID_OPTION', message: why }, text);
});

t.test('what etcd fails with', async (t) => {
  const code = (code: status, details: string) => asFailure({ code, details } as ServiceError, 'e:2379').code;
  t.equal(
    code(status.UNKNOWN, 'context deadline exceeded'),
    'WEAVE_DIRECTORY_UNREACHABLE',
    'of a member without others',
  );
  t.equal(code(status.UNAVAILABLE, 'etcdserver: no leader'), 'WEAVE_DIRECTORY_UNREACHABLE');
  t.equal(code(status.PERMISSION_DENIED, 'etcdserver: permission denied'), 'WEAVE_DIRECTORY_DENIED');
  t.equal(code(status.INVALID_ARGUMENT, 'etcdserver: duplicate key given in txn request'), 'WEAVE_BUG');
});
