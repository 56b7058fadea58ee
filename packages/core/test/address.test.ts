import { BlockList, isIP, SocketAddress } from 'node:net';
import {
  type Cidr,
  cidr,
  contains,
  covers,
  type Family,
  formatAddress,
  formatCidr,
  hostBounds,
  networkOf,
  overlaps,
  parseAddress,
  parseCidr,
  sizeOf,
  subnet,
} from '@weave/core';
import fc from 'fast-check';
import t from 'tap';
import * as names from '../src/names.ts';

const BITS = { 4: 32n, 6: 128n } as const;
const family = fc.constantFrom<Family>(4, 6);
const addresses = family.chain((f) =>
  fc
    // Runs of zeros are what IPv6 text is about.
    .oneof(
      fc.bigInt({ min: 0n, max: (1n << BITS[f]) - 1n }),
      fc
        .array(fc.constantFrom(0n, 0n, 0n, 1n, 0xffffn, 0xffn), { minLength: 8, maxLength: 8 })
        .map(
          (groups) =>
            groups.reduce((value: bigint, group: bigint) => (value << 16n) | group, 0n) & ((1n << BITS[f]) - 1n),
        ),
    )
    .map((value) => ({ family: f, value })),
);
const cidrs: fc.Arbitrary<Cidr> = addresses.chain((a) =>
  fc.nat({ max: Number(BITS[a.family]) }).map((length) => ({ ...a, length })),
);

t.test('addresses in text', async (t) => {
  const table: [text: string, canonical: string | undefined][] = [
    ['10.2.1.1', '10.2.1.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['010.0.0.1', undefined],
    ['10.0.0.01', undefined],
    ['10.0.0.256', undefined],
    ['10.0.0', undefined],
    ['10.0.0.1.2', undefined],
    ['10.0.0.', undefined],
    ['10.0.0.-1', undefined],
    ['0x0a.0.0.1', undefined],
    [' 10.0.0.1', undefined],
    ['10.0.0.1\n', undefined],
    ['１０.0.0.1', undefined],
    ['', undefined],
    ['::', '::'],
    ['::1', '::1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['FD77:6561:7665::1', 'fd77:6561:7665::1'],
    ['fd77:6561:7665:0000:0000:0000:0000:0001', 'fd77:6561:7665::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['::ffff:10.2.1.1', '::ffff:a02:101'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    ['1:2:3:4:5:6:7:8::', undefined],
    ['1::2::3', undefined],
    [':::', undefined],
    [':1', undefined],
    ['1:', undefined],
    ['1:2:3:4:5:6:7', undefined],
    ['1:2:3:4:5:6:7:8:9', undefined],
    ['12345::', undefined],
    ['g::', undefined],
    ['::10.2.1', undefined],
    ['::010.2.1.1', undefined],
    ['10.2.1.1::', undefined],
    ['1:2:3:4:5:6:7:10.2.1.1', undefined],
    ['fe80::1%eth0', undefined],
    ['[::1]', undefined],
  ];
  for (const [text, canonical] of table) {
    const parsed = parseAddress(text);
    t.equal(parsed && formatAddress(parsed), canonical, JSON.stringify(text));
  }
});

t.test('subnets in text', async (t) => {
  const table: [text: string, canonical: string | undefined][] = [
    ['10.2.1.1/24', '10.2.1.1/24'],
    ['10.2.1.1/0', '10.2.1.1/0'],
    ['10.2.1.1/32', '10.2.1.1/32'],
    ['fd00::1/128', 'fd00::1/128'],
    ['10.2.1.1/33', undefined],
    ['fd00::1/129', undefined],
    ['10.2.1.1/08', undefined],
    ['10.2.1.1/', undefined],
    ['10.2.1.1/+8', undefined],
    ['10.2.1.1/8/8', undefined],
    ['10.2.1.1', undefined],
    ['/8', undefined],
  ];
  for (const [text, canonical] of table) {
    const parsed = parseCidr(text);
    t.equal(parsed && formatCidr(parsed), canonical, JSON.stringify(text));
  }
  t.throws(() => cidr('10.2.1.1'), { code: 'WEAVE_INVALID_ADDRESS' });
  t.equal(formatCidr(subnet('10.2.0.0/16')), '10.2.0.0/16');
  t.throws(() => subnet('10.2.1.0/16'), { code: 'WEAVE_INVALID_SUBNET', hint: 'The subnet is 10.2.0.0/16.' });
  t.throws(() => subnet('10.2'), { code: 'WEAVE_INVALID_SUBNET' });
});

t.test('what a host may have of a subnet', async (t) => {
  const table: [subnet: string, window: string, first: string, last: string][] = [
    ['10.2.0.0/24', '10.2.0.0/24', '10.2.0.1', '10.2.0.254'],
    ['10.2.0.0/24', '10.2.0.128/25', '10.2.0.128', '10.2.0.254'],
    ['10.2.0.0/24', '10.2.0.0/25', '10.2.0.1', '10.2.0.127'],
    ['10.2.0.0/24', '10.2.0.64/26', '10.2.0.64', '10.2.0.127'],
    ['10.2.0.0/30', '10.2.0.0/30', '10.2.0.1', '10.2.0.2'],
    ['10.2.0.0/31', '10.2.0.0/31', '10.2.0.0', '10.2.0.1'],
    ['10.2.0.7/32', '10.2.0.7/32', '10.2.0.7', '10.2.0.7'],
    ['fd00::/64', 'fd00::/64', 'fd00::1', 'fd00::ffff:ffff:ffff:ffff'],
    ['fd00::/127', 'fd00::/127', 'fd00::', 'fd00::1'],
    ['fd00::5/128', 'fd00::5/128', 'fd00::5', 'fd00::5'],
  ];
  for (const [outer, window, first, last] of table) {
    const { family } = cidr(outer);
    const bounds = hostBounds(cidr(outer), cidr(window));
    const found = [bounds.first, bounds.last].map((value) => formatAddress({ family, value }));
    t.strictSame(found, [first, last], `${window} of ${outer}`);
  }
});

t.test('against node:net', async (t) => {
  const scrambled = fc.string({ unit: fc.constantFrom(...'0123456789abcdefAF:::...%/ g'), maxLength: 24 });
  const parts = fc
    .array(fc.constantFrom('0', '1', '255', '256', '01', 'ffff', '10000', ':', '::', '.', '1.2.3.4'), { maxLength: 17 })
    .map((list) => list.join(''));
  const spoilt = fc
    .tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(40), fc.constantFrom('', '0', ':', '.', '1', 'f', ' '))
    .map(([text, at, by]) => text.slice(0, at) + by + text.slice(at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), scrambled, parts, spoilt), (text) => {
      const zone = text.includes('%');
      return (parseAddress(text)?.family ?? 0) === (zone ? 0 : isIP(text));
    }),
    { numRuns: 10_000 },
  );
  t.pass('the same texts are addresses');

  const isMixed = (value: bigint) => value >> 32n === 0n || value >> 32n === 0xffffn;
  fc.assert(
    fc.property(addresses, (address) => {
      const text = formatAddress(address);
      const back = parseAddress(text);
      if (back?.value !== address.value || back.family !== address.family) return false;
      const theirs = new SocketAddress({ address: text, family: address.family === 4 ? 'ipv4' : 'ipv6' }).address;
      // They write what may be IPv4 as such.
      return address.family === 6 && isMixed(address.value)
        ? parseAddress(theirs)?.value === address.value
        : theirs === text;
    }),
    { numRuns: 5000 },
  );
  t.pass('the same address has the same text');

  fc.assert(
    fc.property(cidrs, addresses, fc.boolean(), (outer, other, near) => {
      const value = near ? networkOf(outer).value | (other.value & (sizeOf(outer) - 1n)) : other.value;
      const inner = { family: near ? outer.family : other.family, value };
      const type = (f: Family) => (f === 4 ? 'ipv4' : 'ipv6');
      const list = new BlockList();
      list.addSubnet(formatAddress(outer), outer.length, type(outer.family));
      if (outer.family !== inner.family) return !contains(outer, inner);
      return contains(outer, inner) === list.check(formatAddress(inner), type(inner.family));
    }),
    { numRuns: 3000 },
  );
  t.pass('the same addresses are in a subnet');
});

t.test('subnets against each other', async (t) => {
  const bounds = (c: Cidr) => [networkOf(c).value, networkOf(c).value + sizeOf(c) - 1n] as const;
  const nearby = cidrs.chain((a) =>
    fc
      .tuple(fc.constant(a), fc.nat({ max: a.family === 4 ? 32 : 128 }), fc.bigInt({ min: 0n, max: 7n }))
      .map(([a, length, away]): [Cidr, Cidr] => [
        a,
        { ...a, length, value: a.value ^ ((away * sizeOf(a)) & ((1n << BITS[a.family]) - 1n)) },
      ]),
  );
  fc.assert(
    fc.property(nearby, ([a, b]) => {
      const [[firstA, lastA], [firstB, lastB]] = [bounds(a), bounds(b)];
      const meet = firstA <= lastB && firstB <= lastA;
      const within = firstA <= firstB && lastB <= lastA;
      return overlaps(a, b) === meet && overlaps(b, a) === meet && covers(a, b) === within;
    }),
    { numRuns: 5000 },
  );
  t.notOk(overlaps(cidr('0.0.0.0/0'), cidr('::/0')), 'families never meet');
});

t.test('MACs', async (t) => {
  const isStation = (mac: string) =>
    /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) && (Number.parseInt(mac.slice(0, 2), 16) & 3) === 2;
  fc.assert(
    fc.property(addresses, fc.string(), (address, text) =>
      [names.addressMac(address), names.hashMac(text), names.networkMac(text)].every(isStation),
    ),
  );
  t.pass('are unicast, and locally administered');
  t.equal(names.addressMac(parseAddress('10.32.0.1')!), '5a:77:0a:20:00:01', 'an IPv4 address is in it');
  fc.assert(
    fc.property(addresses, addresses, (a, b) => {
      const same = a.family === b.family && a.value === b.value;
      return same === (names.addressMac(a) === names.addressMac(b));
    }),
  );
  t.not(names.networkMac('a'), names.networkMac('b'));
  const vnis = Array.from({ length: 5000 }, (_, n) => names.vniSeed(`${n}`));
  t.ok(
    vnis.every((vni) => vni >= 1 && vni < 2 ** 24),
    'VNIs have 24 bits, and are never zero',
  );
});
