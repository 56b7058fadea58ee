import { type Directory, keys } from '@weave/core';
import { test } from 'tap';
import { hosts, type Member, until } from './members.ts';

/* A host whose records are lost, while its engine's containers run. */

const RED = 'a'.repeat(64);
const WEB = 'b'.repeat(64);
const BARE = 'c'.repeat(64);
const POOL = 'weave:10.9.0.0/24';

test('what the engine of a host has stays its own until that was heard', async (t) => {
  const { all, directory } = await hosts(t, 2);
  const [a, b] = all as [Member, Member];
  const blue = await a.rig.here.networks.create({
    name: 'blue',
    subnets: [{ cidr: '10.9.0.0/24', gateway: '10.9.0.1' }],
  });
  const red = {
    ...{ id: RED, name: 'red', options: {}, internal: false },
    subnets: [{ cidr: '172.20.0.0/16', gateway: '172.20.0.1', ours: false }],
  };
  const web = { id: WEB, addresses: [await a.rig.here.pools.requestAddress(POOL)], mac: '02:42:0a:09:00:02' };
  const bare = { id: BARE, addresses: ['172.20.0.2/16'], mac: '02:42:ac:14:00:02' };
  await a.rig.here.networks.adopt(red);
  await a.rig.here.endpoints.create({ ...web, network: blue.id });
  await a.rig.here.endpoints.create({ ...bare, network: RED });
  for (const id of [WEB, BARE]) await a.rig.here.endpoints.attach(id, `/sandbox/${id}`);
  const { peer } = await a.rig.here.status();
  const told = () =>
    [keys.allClaims, keys.presences(peer.id), keys.endpointsOn(blue.id, peer.id), keys.endpointsOn(RED, peer.id)]
      .flatMap((prefix) => directory.entries(prefix))
      .map(({ key, value }) => `${key} ${value}`);
  await until(() => told().length === 5, 'all of it is told');
  const before = told();
  await a.rig.here.close();

  const client = directory.client();
  let refused = false;
  const failing: Directory = {
    ...client,
    async list(prefix) {
      const isFirst = !refused && prefix === keys.endpointsOn(RED, peer.id);
      refused ||= isFirst;
      if (isFirst) throw new Error('as the test wants it');
      return client.list(prefix);
    },
  };
  const again = await a.rig.loseStore({ directory: failing, peer });
  t.teardown(() => again[Symbol.asyncDispose]());
  const inStep = async () => (await again.here.status()).cluster?.id !== undefined;
  await until(inStep, 'it has joined at the second try', 9000);
  t.ok(refused);
  t.strictSame(told(), before, 'nothing of it went');
  t.equal(await again.here.pools.requestAddress(POOL), '10.9.0.3/24', 'its addresses are not handed out here');
  const elsewhere = b.rig.here.attach({ container: b.rig.run('x').name }, ['10.9.0.2/24'], { network: 'blue' });
  await t.rejects(elsewhere, { code: 'WEAVE_ADDRESS_IN_USE' }, 'nor given to others');
  await again.here.engine.report({
    networks: [
      {
        ...{ id: 'd'.repeat(64), name: 'blue', internal: false, options: { 'works.weave.network': blue.id } },
        ...{ subnets: [{ cidr: '10.9.0.0/24', gateway: '10.9.0.1', ours: true }], reserved: [], endpoints: [] },
      },
      { ...red, reserved: [], endpoints: [{ ...bare, sandbox: `/sandbox/${BARE}` }] },
    ],
    ...{ containers: [], gone: [], before: [] },
  });
  await until(() => told().length === 3, 'what the engine has not any more goes then');
  t.notMatch(told().join('\n'), WEB);
  t.match(told().join('\n'), BARE);
  const free = await b.rig.here.attach({ container: 'x' }, ['10.9.0.2/24'], { network: 'blue' });
  t.match(free, { addresses: ['10.9.0.2/24'] });
});
