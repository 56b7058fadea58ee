import { memoryDatapath, memoryFirewall, memoryStore } from '@weave/core/testing';
import { test } from 'tap';
import { open, type Weave } from '../src/index.ts';

const RANGE = ['10.200.0.0/16', 'fd00:200::/64'];
const BUILT_IN = ['10.32.0.0/12', 'fd77:6561:7665::/64'];

test('the default network has the subnets that are asked for, while nothing uses it', async (t) => {
  let store = memoryStore();
  const datapath = { ...memoryDatapath(), close: async () => undefined };

  /** As a daemon that starts with these. */
  async function started(defaultSubnets?: string[], use: (weave: Weave, pool: string) => unknown = () => undefined) {
    store = store.reopen();
    const filters = { firewall: memoryFirewall(), switchFilter: memoryFirewall() };
    await using weave = await open({ store, datapath, ...filters, defaultSubnets });
    const { subnets } = await weave.networks.inspect('weave');
    await use(weave, subnets[0]!.pool!);
    return { subnets: subnets.map(({ cidr }) => cidr), notices: (await weave.status()).notices };
  }

  t.same(await started(), { subnets: BUILT_IN, notices: [] });
  t.same(
    await started(RANGE.slice(0, 1)),
    { subnets: [RANGE[0], BUILT_IN[1]], notices: [] },
    'of the other family as before',
  );
  const overlapping = started(['fd77:6561:7665:1::/64'], async (weave) => {
    await weave.networks.create({ name: 'blue', subnets: [{ cidr: '10.9.0.0/24' }] });
  });
  t.same((await overlapping).subnets, [BUILT_IN[0], 'fd77:6561:7665:1::/64']);
  const before = JSON.stringify(store.load());
  await t.rejects(started(['10.9.0.0/16']), { code: 'WEAVE_SUBNET_OVERLAP' });
  t.equal(JSON.stringify(store.load()), before, 'what cannot be changes nothing');
  const taken = await started(['FD00:200:0::/64', '10.200.0.0/16'], (weave, pool) => weave.pools.requestAddress(pool));
  t.same(taken, { subnets: RANGE, notices: [] });
  const used = await started(['10.201.0.0/16']);
  t.same(used.subnets, RANGE, 'what is in use stays as it is');
  t.match(used.notices, [/has 10\.200\.0\.0\/16 and fd00:200::\/64, not 10\.201\.0\.0\/16: it is in use; weave reset/]);
  t.same(await started(), { subnets: RANGE, notices: [] }, 'also where nothing is said any more');
  await t.rejects(started(['10.1.0.0/16', '10.2.0.0/16']), { code: 'WEAVE_INVALID_OPTION' });
  await t.rejects(started(['10.1.0.1/16']), { code: 'WEAVE_INVALID_SUBNET' });
});
