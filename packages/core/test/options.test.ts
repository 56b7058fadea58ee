import { NETWORK_OPTIONS, networkOptions } from '@weave/core';
import t from 'tap';

t.test('options', async (t) => {
  const defaults = { mtu: 1430, multicast: true, gateway: 'engine', internal: false };
  const table: [given: Record<string, string>, result: object | string][] = [
    [{}, { ...defaults, autoMtu: true }],
    [{ mtu: '1280' }, { ...defaults, mtu: 1280 }],
    [{ mtu: '65535' }, { ...defaults, mtu: 65535 }],
    [{ 'com.docker.network.driver.mtu': '1400' }, { ...defaults, mtu: 1400 }],
    [{ 'works.weave.multicast': 'false' }, { ...defaults, autoMtu: true, multicast: false }],
    [{ 'works.weave.multicast': '' }, { ...defaults, autoMtu: true }],
    [{ 'works.weave.gateway': 'weave' }, { ...defaults, autoMtu: true, gateway: 'weave' }],
    [
      { 'works.weave.gateway': 'none', mtu: '9000' },
      { ...defaults, gateway: 'none', mtu: 9000 },
    ],
    [{ mtu: '1279' }, 'WEAVE_INVALID_OPTION'],
    [{ mtu: '65536' }, 'WEAVE_INVALID_OPTION'],
    [{ mtu: '1e4' }, 'WEAVE_INVALID_OPTION'],
    [{ mtu: '' }, 'WEAVE_INVALID_OPTION'],
    [{ mtu: ' 1400' }, 'WEAVE_INVALID_OPTION'],
    [{ 'works.weave.multicast': 'yes' }, 'WEAVE_INVALID_OPTION'],
    [{ 'works.weave.gateway': 'host' }, 'WEAVE_INVALID_OPTION'],
    [{ color: 'blue' }, 'WEAVE_UNKNOWN_OPTION'],
    // Of a network that an engine makes.
    [{ 'works.weave.network': 'blue' }, 'WEAVE_UNKNOWN_OPTION'],
    [{ toString: 'x' }, 'WEAVE_UNKNOWN_OPTION'],
    [{ __proto__x: 'x' }, 'WEAVE_UNKNOWN_OPTION'],
  ];
  for (const [given, result] of table) {
    const name = JSON.stringify(given);
    if (typeof result === 'string') t.throws(() => networkOptions(given, false), { code: result }, name);
    else t.strictSame(networkOptions(given, false), result, name);
  }
  t.equal(networkOptions({}, true).internal, true);
  try {
    networkOptions({ color: 'blue' }, false);
  } catch (error) {
    const { hint } = error as { hint: string };
    for (const option of Object.keys(NETWORK_OPTIONS)) t.ok(hint.includes(option), `the hint names ${option}`);
  }
});
