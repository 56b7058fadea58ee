import { attachName, bridgeName, gatewayName, handoverName, hashId, portName } from '@weave/core';
import t from 'tap';
import * as names from '../src/names.ts';

t.test('names', async (t) => {
  const ids = Array.from({ length: 20_000 }, (_, n) => hashId('test', `${n}`));
  // Alike but for the last digit, as truncation would not tell apart.
  ids.push(...Array.from({ length: 16 }, (_, n) => `${'0'.repeat(63)}${n.toString(16)}`));
  const kinds = {
    bridgeName,
    portName,
    handoverName,
    gatewayName,
    vxlanName: names.vxlanName,
    uplinkName: names.uplinkName,
    trunkName: (id: string) => names.trunkName(id, 1),
    rootPortName: (id: string) => names.rootPortName(id, 1),
    otherBridge: (id: string) => bridgeName(id, 1),
  };
  const all = new Set<string>();
  for (const [kind, name] of Object.entries(kinds)) {
    const made = ids.map((id) => name(id));
    t.ok(
      made.every((each) => each.length <= 15 && /^[a-z][a-z0-9-]*$/.test(each)),
      `${kind} makes names of links`,
    );
    t.equal(new Set(made).size, ids.length, `${kind} tells ids apart`);
    for (const each of made) all.add(each);
  }
  t.equal(all.size, ids.length * Object.keys(kinds).length, 'no two kinds share a name');
  t.equal(hashId('a', 'b') === hashId('ab'), false, 'parts are told apart');
  t.match(hashId('a'), /^[0-9a-f]{64}$/);
});

t.test('the name of a container’s interface', async (t) => {
  const id = hashId('network', 'x');
  const named = (name: string) => attachName({ id, name });
  t.equal(named('weave'), 'ethwe');
  t.equal(named('blue'), 'ethwe-blue');
  t.equal(named('ninechars'), 'ethwe-ninechars');
  for (const name of ['tencharsss', 'Blue', 'a_b', 'köln', '']) {
    t.match(named(name), /^ethwe-[a-z2-7]{9}$/, name);
    t.ok(named(name).length <= 15);
  }
});
