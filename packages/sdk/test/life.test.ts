import { setTimeout as delay } from 'node:timers/promises';
import { type Change, createNetwork, State } from '@weave/core';
import { memoryDatapath, memoryFirewall, memoryStore } from '@weave/core/testing';
import { type Test, test } from 'tap';
import { createHost } from '../src/host.ts';
import type { Weave, WeaveEvent } from '../src/index.ts';
import { createRig, type Rig, WAYS } from './rig.ts';

const SUBNETS = [{ cidr: '10.3.0.0/24' }, { cidr: 'fd00:3::/64' }];
const web = { container: 'web' };

test('a change is durable, then told, then asked of the kernel', async (t) => {
  const [store, datapath, steps] = [memoryStore(), memoryDatapath(), [] as string[]];
  const state = new State('self');
  const step = (name: string, change?: Change) => {
    const stored = store.load().some((c) => c.id === change?.id);
    steps.push(`${name}${stored ? ', stored' : ''}${change && state.networks.has(change.id) ? ', true' : ''}`);
  };
  const { network, changes } = createNetwork(state, { name: 'blue', subnets: SUBNETS }, { now: 0 });
  const change = changes.at(-1)!;
  const host = createHost({
    ...{ state, store, clock: () => 0, log: () => undefined, trusted: true },
    datapath: {
      ...datapath,
      apply(batches) {
        step('kernel', change);
        return datapath.apply(batches);
      },
    },
    ...{ firewall: memoryFirewall(), switchFilter: memoryFirewall() },
    emit: (event) => step(`${event.type} ${event.action}`, change),
  });
  step('before', change);
  await host.carryOut({ changes, networks: [network.id] });
  t.strictSame(steps, ['before', 'network created, stored, true', 'kernel, stored, true']);
});

/** Reads until `count` events came. */
async function take(events: AsyncIterator<WeaveEvent>, count: number): Promise<string[]> {
  const told: string[] = [];
  while (told.length < count) {
    const { done, value } = await events.next();
    if (done) break;
    told.push(`${value.type} ${value.action}`);
  }
  return told;
}

for (const way of WAYS) {
  test(`${way}: events`, async (t) => {
    await using rig = await createRig({ way });
    const { weave } = rig;
    rig.run('web');
    const events = weave.events();
    // Not awaited, and nobody asks for events yet: what happens from the call on is told all the same.
    const network = weave.networks.create({ name: 'blue', subnets: SUBNETS });
    await network;
    await weave.attach(web, ['10.2.1.1/24']);
    await weave.attach(web, ['10.2.1.2/24']);
    await weave.attach(web, ['10.2.1.2/24']);
    await weave.detach(web);
    await weave.networks.remove('blue');
    t.strictSame(await take(events, 5), [
      'network created',
      'endpoint created',
      'endpoint changed',
      'endpoint removed',
      'network removed',
    ]);

    rig.datapath.failAt({ after: 0, code: 'ENOMEM' });
    await t.rejects(weave.attach(web), { code: 'WEAVE_KERNEL' });
    t.strictSame(await take(events, 2), ['endpoint created', 'endpoint removed'], 'what is undone is told too');

    const [one, two] = [weave.events(), weave.events()];
    await weave.networks.create({ name: 'red', subnets: SUBNETS });
    for (const each of [one, two, events]) t.strictSame(await take(each, 1), ['network created'], 'to all who listen');

    const waiting = one.next();
    await one.return?.();
    t.match(await ends(t, waiting), { done: true }, 'one stops while it waits');
    t.match(await one.next(), { done: true });
    await weave.networks.remove('red');
    for (const each of [two, events]) t.strictSame(await take(each, 1), ['network removed'], 'the others go on');

    const last = [two.next(), events.next()];
    await weave.close();
    for (const each of last) t.match(await ends(t, each), { done: true }, 'closing ends them all');
  });

  test(`${way}: nobody listens any more who has stopped`, async (t) => {
    await using rig = await createRig({ way });
    const { weave } = rig;
    for (let i = 0; i < 20; i++) {
      const events = weave.events();
      if (i % 2) void events.next();
      await events.return?.();
    }
    for await (const event of listenTwice(weave)) t.equal(event.type, 'network');
    await rig.here.networks.create({ name: 'after', subnets: [{ cidr: '10.9.0.0/24' }] });
    const events = weave.events();
    await weave.networks.remove('after');
    t.strictSame(await take(events, 1), ['network removed']);
  });
}

/** A loop that is left ends its iterator. */
async function* listenTwice(weave: Weave) {
  const events = weave.events();
  await weave.networks.create({ name: 'blue', subnets: SUBNETS });
  await weave.networks.remove('blue');
  for await (const event of events) {
    yield event;
    if (event.action === 'removed') break;
  }
}

async function ends<T>(t: Test, promise: Promise<T>): Promise<T | 'waits'> {
  const first = await Promise.race([promise, delay(5000, 'waits' as const, { ref: false })]);
  t.not(first, 'waits');
  return first;
}

test('await using', async (t) => {
  await using rig = await createRig();
  let events: AsyncIterableIterator<WeaveEvent>;
  {
    await using weave = rig.weave;
    events = weave.events();
    await weave.networks.create({ name: 'blue', subnets: SUBNETS });
  }
  t.strictSame(await take(events, 9), ['network created'], 'what came before the end is told');
  await t.rejects(rig.weave.networks.create({ name: 'red' }), { code: 'WEAVE_STORE_FAILED' }, 'it is closed');
  await rig.weave.close();
  await using after = await rig.restart();
  t.match(await after.weave.networks.inspect('blue'), { subnets: SUBNETS }, 'what was made is there again');
});

/** Without multicast: which of two interfaces has the route for it depends on which came first. */
const OPTIONS = { 'works.weave.gateway': 'weave', 'works.weave.multicast': 'false' };

/** What verbs leave behind, in the order in which it is made. */
const WORK: ((rig: Rig) => Promise<unknown>)[] = [
  (rig) => rig.weave.networks.create({ name: 'blue', subnets: SUBNETS, options: OPTIONS }),
  (rig) => rig.weave.attach(web, [], { network: 'blue' }),
  (rig) => rig.weave.attach(web, ['10.2.1.1/24', 'fd00:2::1/64']),
  (rig) => rig.weave.attach(web, ['10.2.1.2/24']),
  (rig) => rig.weave.detach(web, ['10.2.1.1/24']),
  (rig) => rig.weave.detach(web, [], { network: 'blue' }),
  (rig) => rig.weave.networks.remove('blue'),
];

test('killed at any operation of any verb, it starts again with all of it done', async (t) => {
  for (const [last, verb] of WORK.entries()) {
    await using whole = await createRig();
    whole.run('web');
    for (const each of WORK.slice(0, last + 1)) await each(whole);
    const wanted = comparable(whole.state());
    for (let after = 0; ; after++) {
      let killed = false;
      await using rig = await createRig({
        wrapDatapath: (datapath) => ({
          ...datapath,
          // From the operation on that is refused, nothing is answered any more.
          apply: async (batches) => {
            if (killed) return new Promise(() => undefined);
            const applied = await datapath.apply(batches);
            killed = applied.some((a) => a.failed);
            return killed ? new Promise(() => undefined) : applied;
          },
        }),
      });
      rig.run('web');
      for (const each of WORK.slice(0, last)) await each(rig);
      rig.datapath.failAt({ after, code: 'EIO' });
      await Promise.race([verb(rig), delay(20)]);
      if (!killed) break;
      rig.datapath.failAt(undefined);
      await using again = await rig.restart();
      t.match(await again.weave.status(), { notices: [] });
      t.equal(comparable(again.state()), wanted, `verb ${last}, operation ${after}`);
    }
  }
});

/** Each host has an id of its own; and the order of addresses on a link says nothing here. */
const comparable = (state: string) =>
  state
    .replace(/[0-9a-f]{32}(?=")(?<="[0-9a-f]{32})/g, 'self')
    .split('\n')
    .sort()
    .join('\n');

test('whatever the clock says, the same is done', async (t) => {
  const [hour, decade] = [3_600_000, 315_360_000_000];
  const outcomes = [];
  for (const jumps of [[0], [decade], [-hour], [decade, -decade, -hour, hour]]) {
    let [now, turn] = [2 * decade, 0];
    await using rig = await createRig({
      clock: () => {
        now += jumps[turn++ % jumps.length]!;
        return now;
      },
    });
    rig.run('web');
    const seen = [];
    for (const verb of WORK) {
      await verb(rig);
      seen.push(comparable(rig.state()).replace(/"created":\d+/g, ''));
    }
    outcomes.push(seen);
  }
  for (const each of outcomes) t.strictSame(each, outcomes[0]);
});

test('what others did meanwhile is mended at the start, and what cannot be is said', async (t) => {
  await using rig = await createRig();
  rig.run('web');
  await rig.weave.attach(web, ['10.2.1.1/24']);
  const state = rig.state();
  await rig.datapath.apply([
    [
      { op: 'deleteAddress', netns: '/proc/50000001/ns/net', link: 'ethwe', address: '10.2.1.1/24' },
      { op: 'addBridge', netns: 'switch', name: 'wbstray', mac: '02:00:00:00:00:01', mtu: 1500 },
    ],
  ]);
  t.not(rig.state(), state);
  rig.datapath.failAt({ after: 0, code: 'ENOMEM' });
  await using again = await rig.restart();
  t.match((await again.weave.status()).notices, [/ENOMEM|as the test wants it/]);
  await using third = await again.restart();
  t.strictSame((await third.weave.status()).notices, []);
  t.equal(third.state(), state);
});

for (const way of WAYS)
  test(`${way}: reset`, async (t) => {
    await using rig = await createRig({ way });
    rig.run('web');
    rig.datapath.addNamespace('/run/netns/bare');
    rig.datapath.addForeign('host', { name: 'wbforeign', kind: 'bridge', addresses: ['198.51.100.1/24'] });
    const foreign = rig.datapath
      .listing()
      .split('\n')
      .filter((line) => /foreign|198\.51/.test(line));
    for (const verb of WORK.slice(0, 3)) await verb(rig);
    await rig.weave.attach({ netns: '/run/netns/bare' });
    const { id: pool } = await rig.weave.pools.request({ family: 4 });
    await rig.weave.pools.requestAddress(pool);
    t.ok(rig.firewall.rules);
    const events = rig.here.events();
    await rig.weave.reset();
    t.match(await ends(t, events.next()), { done: true });
    t.strictSame(rig.store.load(), [], 'no record');
    t.equal(rig.firewall.rules, undefined, 'no rule');
    const left = rig.datapath
      .listing()
      .split('\n')
      .filter((line) => /^ +\w+ \w+ |^ +address/.test(line));
    t.strictSame(
      left.filter((line) => !line.includes('sysctl')),
      foreign,
      'no link but those of others',
    );
    await t.rejects(rig.weave.networks.create({ name: 'new' }), { code: 'WEAVE_STORE_FAILED' }, 'it is over');
  });
