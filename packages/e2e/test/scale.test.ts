import { connect } from '@weave/sdk';
import { test } from 'tap';
import { createLab, switchLinks } from '../src/index.ts';

/** BR_MAX_PORTS is 1,024, of which port 0 is none. */
const BRIDGE_MAX = 1023;
const COUNT = BRIDGE_MAX + 77;

test('one network, more endpoints than a bridge has ports', async (t) => {
  await using lab = await createLab({ hosts: 1, docker: false });
  const host = lab.hosts[0]!;
  await host.weave('launch', '--local');
  const names = Array.from({ length: COUNT }, (_, i) => `n${i}`);
  await host.exec(['ip', '-batch', '-'], { stdin: Buffer.from(names.map((n) => `netns add ${n}\n`).join('')) });
  await using weave = await connect({ socket: host.path('/run/weave/weave.sock') });
  const attach = (name: string) => weave.attach({ netns: `/run/netns/${name}` });
  const attached = await Promise.all(names.map(attach));
  const addresses = attached.flatMap((a) => a.addresses.map((text) => text.replace(/\/.*/, '')));
  t.equal(new Set(addresses).size, 2 * COUNT, 'every address once');

  const [first, last] = [attached[0]!, attached.at(-1)!];
  for (const [i, address] of last.addresses.entries()) {
    const ping = ['nsenter', '--net=/run/netns/n0', 'ping', '-c1', '-W5', address.replace(/\/.*/, '')];
    t.equal((await host.exec(ping, { allowFail: true })).code, 0, `the first reaches the last over family ${i}`);
  }
  t.strictSame((await attach('n0')).addresses, first.addresses, 'attaching again changes nothing');

  await Promise.all(names.map((name) => weave.detach({ netns: `/run/netns/${name}` })));
  t.equal(await host.weave('ps'), '');
  for (let tries = 0; tries < 100 && (await switchLinks(host)).length > 3; tries++);
  t.match(await switchLinks(host), ['lo', /^wb/], 'and of the bridges only the first is left');
});
