import { keys, LEASE_SECONDS } from '@weave/core';
import { memoryDirectory } from '@weave/core/testing';
import { type Test, test } from 'tap';
import { createRig, type Rig } from '../rig.ts';
import { until } from './members.ts';

const domain = 'weave.local';
let now = 0;

/** Two hosts with a container each. */
async function hosts(t: Test) {
  const directory = memoryDirectory({ clock: () => now });
  const all = [];
  for (const n of [1, 2]) {
    const client = directory.client();
    const rig = await createRig({ directory: client, underlay: `192.0.2.${n}`, domain });
    t.teardown(() => rig[Symbol.asyncDispose]());
    await until(async () => (await rig.here.status()).cluster?.id !== undefined, 'it has joined');
    rig.run(`c${n}`);
    await rig.here.attach({ container: `c${n}` }, [`10.2.1.${n}/24`]);
    all.push({ rig, client, peer: (await rig.here.status()).peer.id });
  }
  const [a, b] = all as [(typeof all)[0], (typeof all)[0]];
  return { directory, a, b };
}

const knows = async ({ rig }: { rig: Rig }, name: string, want: string[]) =>
  until(async () => `${await rig.here.names.lookup(name)}` === `${want}`, `${name} is ${want}`);

test('names of other hosts, and those that were given there', async (t) => {
  const { directory, a, b } = await hosts(t);
  await knows(a, 'c2', ['10.2.1.2']);
  await knows(b, 'c1', ['10.2.1.1']);
  await b.rig.here.names.add({ addresses: ['192.0.2.77'], name: 'printer' });
  await knows(a, 'printer', ['192.0.2.77']);
  await a.rig.here.names.add({ addresses: ['192.0.2.78'], name: 'printer' });
  await knows(b, 'printer', ['192.0.2.77', '192.0.2.78']);
  await knows(a, 'printer', ['192.0.2.78', '192.0.2.77']);
  await a.rig.here.names.remove({ addresses: ['192.0.2.77', '192.0.2.78'] });
  await knows(b, 'printer', ['192.0.2.77']);
  t.equal(directory.entries(keys.names(a.peer)).length, 0, 'a host takes back its own only');
  b.client.cut();
  await b.rig.here.names.remove({ addresses: ['192.0.2.77'] });
  await b.rig.here.engine.ended(b.rig.containers.get('c2')!.id);
  await knows(b, 'c1', ['10.2.1.1']);
  t.same(
    await a.rig.here.names.lookup('printer'),
    ['192.0.2.77'],
    'while the store does not answer nobody hears of it',
  );
  b.client.heal();
  await knows(a, 'printer', []);
  await knows(a, 'c2', []);
});

test('names of a host that is not heard of are not told, until it is', async (t) => {
  const { directory, a, b } = await hosts(t);
  await b.rig.here.names.add({ addresses: ['192.0.2.77'], name: 'printer' });
  await knows(a, 'c2', ['10.2.1.2']);
  await knows(a, 'printer', ['192.0.2.77']);
  const told: string[] = [];
  const events = a.rig.here.events();
  const following = (async () => {
    for await (const { type, id } of events) told.push(`${type} ${id}`);
  })();
  b.client.cut();
  now += LEASE_SECONDS * 1000;
  directory.expireLeases();
  await knows(a, 'c2', []);
  await knows(a, 'printer', []);
  t.same(told, [`peer ${b.peer}`], 'who serves them is told to look');
  t.same(await a.rig.here.names.lookup('c1'), ['10.2.1.1'], 'its own names are there');
  b.client.heal();
  await knows(a, 'c2', ['10.2.1.2']);
  await knows(a, 'printer', ['192.0.2.77']);
  await events.return?.();
  await following;
});

test('where the store does not answer from the start, what is known is told', async (t) => {
  const { directory, a } = await hosts(t);
  await knows(a, 'c2', ['10.2.1.2']);
  const away = directory.client();
  away.cut();
  await using next = await a.rig.restart(away);
  t.same(await next.here.names.lookup('c2'), ['10.2.1.2']);
});

test('what is no name in the store is none here', async (t) => {
  const { directory, a } = await hosts(t);
  const peer = 'f'.repeat(32);
  const good = { peer, name: 'good.weave.local', address: '10.1.1.1' };
  const bad = [
    [keys.name(good).replace('good', 'else'), JSON.stringify(good)],
    [keys.name({ ...good, name: 'a b.weave.local' }), JSON.stringify({ ...good, name: 'a b.weave.local' })],
    [keys.name({ ...good, address: 'x' }), JSON.stringify({ ...good, address: 'x' })],
    [`${keys.names(peer)}nonsense`, '{'],
  ] as const;
  const writes = [[keys.name(good), JSON.stringify(good)] as const, ...bad].map(([key, value]) => ({ key, value }));
  await directory.client().commit({ writes: [...writes, { key: keys.alive(peer), value: '{}' }] });
  await knows(a, 'good', ['10.1.1.1']);
  t.same(
    (await a.rig.here.names.list()).filter((each) => each.peer === peer).map(({ name }) => name),
    ['good.weave.local'],
  );
});
