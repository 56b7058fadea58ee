import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Op } from '@weave/core';
import { memoryDatapath, memoryFirewall } from '@weave/core/testing';
import { test } from 'tap';
import { open } from '../src/open.ts';
import { createRig } from './rig.ts';

const OUT = { name: 'out', options: { 'works.weave.gateway': 'weave' } };

test('a store that was removed is a difference', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weave-check-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const filters = { firewall: memoryFirewall(), switchFilter: memoryFirewall() };
  await using weave = await open({ stateDir: dir, datapath: memoryDatapath(), ...filters });
  t.strictSame(await weave.check(), { compared: ['kernel', 'store'], differences: [] });
  for (const suffix of ['', '-wal', '-journal']) rmSync(join(dir, `weave.db${suffix}`), { force: true });
  t.match(await weave.check({ fix: true }), {
    differences: [{ where: 'store', what: /weave\.db was removed, or replaced/, fixed: false }],
  });
  await t.rejects(weave.networks.create({ name: 'blue' }), { code: 'WEAVE_STORE_FAILED' });
});

test('a filter that cannot be set is not mended, and tried again', async (t) => {
  let refusal: string | undefined;
  let isSet = true;
  const logged: string[] = [];
  await using weave = await open({
    stateDir: mkdtempSync(join(tmpdir(), 'weave-check-')),
    datapath: memoryDatapath(),
    firewall: memoryFirewall(),
    switchFilter: {
      set: async () => {
        isSet = refusal === undefined;
        return refusal;
      },
      isAsSet: async () => isSet,
    },
    log: (level, message) => logged.push(`${level} ${message}`),
  });
  [isSet, refusal] = [false, 'nft is not there'];
  logged.length = 0;
  for (const _ of [1, 2]) t.match(await weave.check({ fix: true }), { differences: [{ fixed: false }] });
  t.strictSame(logged, ['error cannot be repaired'], 'said once');
  t.equal((await weave.status()).repairs.setFilter, undefined);
  refusal = undefined;
  t.match(await weave.check({ fix: true }), { differences: [{ fixed: true }] });
  t.strictSame([logged.at(-1), (await weave.status()).repairs.setFilter], ['info repaired', 1]);
});

test('what a verb changes while it is looked at is no repair', async (t) => {
  let during: (() => Promise<unknown>) | undefined;
  await using rig = await createRig({
    wrapDatapath: (datapath) => ({
      ...datapath,
      async observe(queries) {
        const seen = await datapath.observe(queries);
        const verb = during;
        during = undefined;
        await verb?.();
        return seen;
      },
    }),
  });
  rig.run('web');
  const { repairs } = await rig.here.status();
  const before = { ...repairs };
  during = () => rig.here.attach({ container: 'web' });
  await rig.here.engine.report({ networks: [], containers: [], gone: [], before: [] });
  t.strictSame((await rig.here.status()).repairs, before);
  t.strictSame((await rig.here.check()).differences, []);
});

test('nothing that is under way outlives a reset', async (t) => {
  await using rig = await createRig();
  await rig.here.networks.create(OUT);
  t.ok(rig.firewall.rules);
  rig.firewall.delays.push(100);
  const reported = rig.here.engine.report({ networks: [], containers: [], gone: [], before: [] });
  while (rig.firewall.delays.length > 0) await delay(5);
  await rig.here.reset();
  await reported;
  await delay(100);
  t.equal(rig.firewall.rules, undefined);
});

test('a fresh host was not repaired', async (t) => {
  const made: Op[] = [];
  await using rig = await createRig({
    wrapDatapath: (datapath) => ({
      ...datapath,
      apply: (batches) => {
        made.push(...batches.flat());
        return datapath.apply(batches);
      },
    }),
  });
  t.ok(made.length > 0);
  t.strictSame((await rig.here.status()).repairs, {});
});
