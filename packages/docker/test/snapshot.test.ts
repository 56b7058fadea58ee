import { join } from 'node:path';
import { test } from 'tap';
import { holdings, snapshot } from '../src/snapshot.ts';
import { FakeEngine } from './fake-engine.ts';
import { container, following, happened, seen, until } from './following.ts';
import { createRig, ID, type Rig } from './rig.ts';

/** A network as the driver is told of it. */
const made = (rig: Rig, n: number) =>
  rig.weave.networks.adopt({
    id: ID.network(n),
    subnets: [{ cidr: `172.${n}.0.0/16`, gateway: `172.${n}.0.1`, ours: false }],
    options: {},
    internal: false,
  });
const endpoint = (rig: Rig, n: number) =>
  rig.weave.endpoints.create({ id: ID.endpoint(n), network: ID.network(n), addresses: [`172.${n}.0.2/16`] });

const known = (n: number) => ({
  Id: ID.network(n),
  Name: `n${n}`,
  IPAM: { Driver: 'default', Config: [{ Subnet: `172.${n}.0.0/16`, Gateway: `172.${n}.0.1` }] },
  Containers: { [container(n)]: seen(n, `172.${n}.0.2/16`) },
});

test('what the engine has is told from what it lost, and both from what came meanwhile', async (t) => {
  await using rig = await createRig();
  const engine = await new FakeEngine(join(rig.dir, 'docker.sock')).start();
  t.teardown(() => engine.stop());
  const defaults = (await rig.weave.networks.list()).map(({ id }) => id);
  for (const n of [1, 2, 3]) {
    await made(rig, n);
    await endpoint(rig, n);
  }
  // 1 it has; of 2 only the network; 3 it has not any more.
  engine.networks.set(ID.network(1), known(1));
  engine.networks.set(ID.network(2), { ...known(2), Containers: {} });
  engine.beforeAnswer = async (path) => {
    if (path !== '/networks') return;
    // While the engine is asked, it makes another one.
    await made(rig, 4);
    await endpoint(rig, 4);
  };
  const { ids } = await holdings(rig.weave);
  const before = [1, 2, 3].flatMap((n) => [ID.network(n), ID.endpoint(n)]);
  t.same([...ids].sort(), [...defaults, ...before].sort(), 'what is there before it is asked');
  const view = await snapshot(rig.weave, engine.docker, ids, new AbortController().signal);
  const inspected = engine.asked.filter((path) => path.startsWith('/containers'));
  t.same(inspected, [], 'no container is asked for that is known: the engine might be starting it, and wait for us');
  await rig.weave.engine.report(view);
  const networks = (await rig.weave.networks.list()).map(({ id, name }) => (id === ID.network(4) ? 'n0' : name));
  t.same(networks.sort(), ['n0', 'n1', 'n2', 'weave'], 'the lost one is gone, the new one stays');
  const endpoints = (await rig.weave.endpoints.list()).map((e) => [e.id, e.container?.name]);
  t.same(endpoints, [
    [ID.endpoint(1), 'c1'],
    [ID.endpoint(4), undefined],
  ]);
});

test('networks and containers that go while they are asked for', async (t) => {
  await using rig = await createRig();
  const engine = await new FakeEngine(join(rig.dir, 'docker.sock')).start();
  t.teardown(() => engine.stop());
  for (const n of [1, 2, 3]) engine.networks.set(ID.network(n), known(n));
  engine.containers.set(container(1), { Id: container(1), Name: 'c1', Pid: 7, endpoints: { n1: ID.endpoint(1) } });
  engine.beforeAnswer = async (path) => {
    if (path === `/networks/${ID.network(2)}`) engine.networks.delete(ID.network(2));
  };
  const view = await snapshot(rig.weave, engine.docker, [], new AbortController().signal);
  t.same(
    view.networks.map((n) => [n.name, n.endpoints[0]?.sandbox]),
    [
      ['n1', `/var/run/docker/netns/${container(1).slice(0, 12)}`],
      ['n3', undefined],
    ],
  );
  await rig.weave.engine.report(view);
  t.match(await rig.weave.endpoints.list(), [
    { id: ID.endpoint(1), addresses: ['172.1.0.2/16'], sandbox: { kind: 'engine' }, mac: '02:42:ac:11:00:02' },
    { id: ID.endpoint(3) },
  ]);
});

test('what was attached follows its container', async (t) => {
  await using rig = await createRig();
  const netns = (pid: number) => `/proc/${pid}/ns/net`;
  for (const n of [1, 2, 3]) {
    rig.datapath.addNamespace(netns(900 + n));
    rig.containers.set(`c${n}`, { id: container(n), name: `c${n}`, pid: 900 + n });
    await rig.weave.attach({ container: `c${n}` });
  }
  // While nobody followed, 1 got a new run, 2 was stopped and 3 removed.
  rig.datapath.addNamespace(netns(911));
  const { engine } = await following(t, rig, rig.weave, ({ containers }) => {
    containers.set(container(1), { Id: container(1), Name: 'renamed', Pid: 911 });
    containers.set(container(2), { Id: container(2), Name: 'c2' });
  });
  const where = async () =>
    (await rig.weave.endpoints.list()).map(({ container: c, sandbox, addresses }) => [
      c?.name,
      sandbox?.kind === 'netns' ? sandbox.path : undefined,
      addresses[0],
    ]);
  await until(async () => (await where()).length === 2, 'the removed one is gone');
  t.same(await where(), [
    ['renamed', netns(911), '10.32.0.1/12'],
    ['c2', netns(902), '10.32.0.2/12'],
  ]);
  t.match(rig.datapath.listing(), /^\/proc\/911\/ns\/net\n.* ethwe /m, 'the interface is in the new run');
  rig.datapath.addNamespace(netns(912));
  engine.containers.set(container(2), { Id: container(2), Name: 'c2', Pid: 912 });
  engine.emit(happened('start', container(2)), happened('destroy', container(1)));
  await until(async () => (await where()).length === 1, 'removed');
  t.same(await where(), [['c2', netns(912), '10.32.0.2/12']]);
});

test('all that an inspected network says', async (t) => {
  await using rig = await createRig();
  const engine = await new FakeEngine(join(rig.dir, 'docker.sock')).start();
  t.teardown(() => engine.stop());
  engine.networks.set(ID.network(1), {
    Id: ID.network(1),
    Name: 'full',
    Internal: true,
    Options: { mtu: '1400', 'works.weave.multicast': 'false' },
    IPAM: {
      Driver: 'weavemesh',
      Config: [
        {
          Subnet: '10.50.0.0/16',
          IPRange: '10.50.5.0/24',
          Gateway: '10.50.5.254',
          AuxiliaryAddresses: { printer: '10.50.9.9', router: '10.50.5.1' },
        },
        { Subnet: 'fd00:50::/64', Gateway: 'fd00:50::99/64' },
      ],
    },
    Containers: {
      [container(1)]: { ...seen(1, '10.50.5.0/16'), IPv6Address: 'fd00:50::1/64' },
      // An engine that starts a container lists it before it has all of it, and before it has joined.
      [container(2)]: { ...seen(2, '10.50.5.2/16'), MacAddress: '' },
      [`ep-${ID.endpoint(3)}`]: seen(3, '10.50.5.3/16'),
    },
  });
  engine.networks.set(ID.network(2), { Id: ID.network(2), Name: 'bare', IPAM: { Driver: 'null', Config: null } });
  const view = await snapshot(rig.weave, engine.docker, [], new AbortController().signal);
  t.match(view.networks, [
    {
      id: ID.network(1),
      internal: true,
      options: { mtu: '1400', 'works.weave.multicast': 'false' },
      subnets: [
        { cidr: '10.50.0.0/16', gateway: '10.50.5.254', ours: true },
        { cidr: 'fd00:50::/64', gateway: 'fd00:50::99/64', ours: true },
      ],
      range: { '10.50.0.0/16': '10.50.5.0/24' },
      reserved: ['10.50.5.254', '10.50.9.9', '10.50.5.1', 'fd00:50::99'],
      endpoints: [
        { addresses: ['10.50.5.0/16', 'fd00:50::1/64'] },
        { addresses: ['10.50.5.2/16'] },
        { addresses: ['10.50.5.3/16'], container: undefined },
      ],
    },
    { id: ID.network(2), subnets: [], endpoints: [] },
  ]);
  await rig.weave.engine.report(view);
  t.match(await rig.weave.networks.inspect('full'), {
    mtu: 1400,
    multicast: false,
    internal: true,
    endpoints: [{ container: { name: 'c1' } }, { mac: '5a:77:0a:32:05:02' }, { container: undefined }],
  });
  const { body } = await rig.call('IpamDriver.RequestAddress', { PoolID: 'weave:10.50.0.0/16', Address: '' });
  t.equal(body.Address, '10.50.5.4/16', 'what is held is not handed out');
});
