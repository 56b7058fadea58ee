import { DEFAULT_MTU, networkMtu, roomOf } from '@weave/core';
import fc from 'fast-check';
import t from 'tap';

t.test('the room that paths leave', async (t) => {
  const [v4, v6] = ['192.0.2.1', '2001:db8::1'];
  t.equal(roomOf([{ address: v4, mtu: 1500 }]), 1450, 'over IPv4');
  t.equal(roomOf([{ address: v6, mtu: 1500 }]), 1430, 'over IPv6');
  t.equal(
    roomOf([
      { address: v4, mtu: 9000 },
      { address: v6, mtu: 9000 },
    ]),
    8930,
    'the least',
  );
  t.equal(roomOf([]), undefined, 'alone');
  t.equal(roomOf([{ address: v4 }, { address: v6 }]), undefined, 'nothing is known');
  t.equal(roomOf([{ address: v4, mtu: 9000 }, { address: v6 }]), DEFAULT_MTU, 'no more than is safe for one unknown');
  t.equal(roomOf([{ address: v4, mtu: 1400 }, { address: v6 }]), 1350, 'but less where less is known');
});

t.test('the MTU of a network', async (t) => {
  t.equal(networkMtu(undefined, []), 1430, 'nobody else');
  t.equal(networkMtu(undefined, [undefined, undefined]), 1430, 'nothing published');
  t.equal(networkMtu(undefined, [8950, 8950]), 8950, 'large');
  t.equal(networkMtu(undefined, [8950, 1450, 8950]), 1450, 'the least');
  t.equal(networkMtu(undefined, [8950, undefined]), 1430, 'one has not published yet');
  t.equal(networkMtu(undefined, [1350, undefined]), 1350, 'less than that is known');
  t.equal(networkMtu(undefined, [1230, 1450]), 1280, 'never too small for IPv6');
  t.equal(networkMtu(1400, [8950, 1230]), 1400, 'as somebody wants it');
  const room = fc.option(fc.integer({ min: 1210, max: 8950 }), { nil: undefined });
  fc.assert(
    fc.property(fc.array(room), (rooms) => {
      t.equal(networkMtu(undefined, rooms), networkMtu(undefined, rooms.toReversed()));
    }),
    { numRuns: 50 },
  );
});
