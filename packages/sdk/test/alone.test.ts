import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { SELF, State } from '@weave/core';
import type Docker from 'dockerode';
import { test } from 'tap';
import { othersOf } from '../src/company.ts';
import { dockerEngine } from '../src/engine.ts';
import type { Host } from '../src/host.ts';
import { createRig } from './rig.ts';

test('a host of a cluster that has no way to it decides only what is its own', async (t) => {
  const state = new State('me');
  const pool = { id: 'weave:10.3.0.0_24', cidr: '10.3.0.0/24' };
  const network = {
    id: 'blue',
    name: 'blue',
    vni: 1,
    subnets: [{ cidr: '10.3.0.0/24', pool: pool.id }],
    owner: 'weave',
  };
  state.apply([
    { table: 'pool', id: pool.id, record: pool },
    { table: 'network', id: 'blue', record: network },
  ] as never);
  const others = othersOf({ state } as unknown as Host, {});
  const endpoint = (...addresses: string[]) =>
    ({
      changes: [{ table: 'endpoint', id: 'e', record: { id: 'e', peer: 'me', network: 'blue', addresses } }],
    }) as never;
  const removal = { changes: [{ table: 'network', id: 'blue', record: null }] } as never;
  t.equal(others.allow(removal), true, 'alone it has nobody to ask');
  state.apply([{ table: 'self', id: SELF, record: { peer: 'me', cluster: 'c' } }]);
  t.equal(
    others.allow(endpoint('10.3.0.7/24')),
    true,
    'an address of a pool: its block is asked for where it has none',
  );
  for (const decision of [removal, endpoint('192.168.7.1/24')])
    t.throws(() => others.allow(decision), { code: 'WEAVE_DIRECTORY_UNREACHABLE' });
});

test('what can be no container’s name is no part of what the engine is asked', async (t) => {
  const asked: string[] = [];
  const getContainer = (name: string) => ({ inspect: () => Promise.reject(asked.push(name)) });
  const engine = dockerEngine({ getContainer } as unknown as Docker);
  for (const name of ['web/export?', '../info', 'a b', '', '-x', 'web\n', 'é', '/web'])
    await t.rejects(engine.container(name), { code: 'WEAVE_CONTAINER_NOT_FOUND' }, name);
  t.same(asked, []);
});

test('a port that cannot be had leaves no descriptor', async (t) => {
  await using rig = await createRig();
  const { weave } = rig;
  const [network, endpoint] = ['a'.repeat(64), 'b'.repeat(64)];
  await weave.networks.adopt({
    ...{ id: network, internal: false, options: { 'works.weave.gateway': 'weave' } },
    subnets: [{ cidr: '10.50.0.0/24', gateway: '10.50.0.1', ours: false }],
  });
  await weave.endpoints.create({ id: endpoint, network, addresses: ['10.50.0.2/24'] });
  await weave.endpoints.attach(endpoint, '/var/run/docker/netns/0a6de59daa9b');
  const taken = createSocket('udp6').bind(0);
  await once(taken, 'listening');
  const port = { protocol: 'udp', hostPort: taken.address().port, port: 53 } as const;
  const files = () => readdirSync('/proc/self/fd').length;
  await t.rejects(weave.endpoints.publish(endpoint, [port]), { code: 'WEAVE_PORT_IN_USE' });
  const before = files();
  for (let i = 0; i < 10; i++) await weave.endpoints.publish(endpoint, [port]).catch(() => undefined);
  t.equal(files(), before);
  taken.close();
});
