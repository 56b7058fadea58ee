import { datapathContract, memoryDatapath, memoryStore, storeContract } from '@weave/core/testing';
import t from 'tap';

t.test('the kernel in memory keeps the contract of the datapath', async (t) => {
  for (const { name, run } of datapathContract)
    await t.test(name, async () => {
      const datapath = memoryDatapath();
      let made = 0;
      await run({
        datapath,
        newNamespace: async () => {
          const path = `/netns/${++made}`;
          datapath.addNamespace(path);
          return path;
        },
        removeNamespace: async (path) => datapath.removeNamespace(path),
      });
    });
});

t.test('the store in memory keeps the contract of the store', async (t) => {
  for (const { name, run } of storeContract)
    await t.test(name, async () => {
      let store = memoryStore();
      await run({
        store,
        openAgain: () => store.openAgain(),
        reopen: () => {
          store = store.reopen();
          return store;
        },
      });
    });
});

t.test('the kernel in memory, by what only a test does to it', async (t) => {
  const kernel = memoryDatapath({ namespaces: ['/a', '/b'], failAt: { after: 1, code: 'ENOMEM' } });
  const bridge = { op: 'addBridge', netns: 'switch', name: 'wb', mac: '52:00:00:00:00:01', mtu: 1430 } as const;
  const veth = { op: 'addVeth', netns: 'switch', name: 'wv', mtu: 1430, master: 'wb', up: true } as const;
  const peer = { netns: '/a', name: 'ethwe', mtu: 1430, mac: '5a:77:0a:20:00:01', up: true };
  const [first] = await kernel.apply([[bridge, { ...veth, peer }]]);
  t.match(first, {
    done: 1,
    failed: { index: 1, op: 'addVeth', code: 'ENOMEM', errno: 12, netns: 'switch', link: 'wv' },
  });
  const [second] = await kernel.apply([[bridge, { ...veth, peer }]]);
  t.strictSame([second, kernel.performed], [{ done: 2 }, 4], 'a failure is injected once');
  kernel.addForeign('/a', {
    name: 'eth0',
    addresses: ['172.17.0.2/16'],
    routes: [{ destination: '0.0.0.0/0', gateway: '172.17.0.1' }],
  });
  kernel.addNamespace('/alias', '/a');
  t.equal(kernel.netnsId('/alias'), kernel.netnsId('/a'));
  t.equal(
    kernel.listing(),
    [
      'switch',
      '  bridge wb 52:00:00:00:00:01 mtu 1430 up',
      '  veth wv mtu 1430 up master wb ↔ /a ethwe',
      'host',
      '/a',
      '  dummy eth0 mtu 1500 up',
      '    address 172.17.0.2/16',
      '    route 0.0.0.0/0 via 172.17.0.1',
      '  veth ethwe 5a:77:0a:20:00:01 mtu 1430 up ↔ switch wv',
      '/alias',
      '  is /a',
      '/b',
      '',
    ].join('\n'),
  );
  kernel.moveLink('/a', 'ethwe', '/b', 'eth7');
  t.match(kernel.listing(), /\/b\n {2}veth eth7 5a:77:0a:20:00:01 mtu 1430 down ↔ switch wv/);
  kernel.removeNamespace('/a');
  t.ok(kernel.netnsId('/alias'), 'a namespace is there as long as one path is');
  const before = kernel.netnsId('/b');
  kernel.replaceNamespace('/b');
  t.not(kernel.netnsId('/b'), before);
  t.notMatch(kernel.listing(), /wv/, 'the pair went with it');
  await kernel.apply([[{ ...veth, peer: { ...peer, netns: '/b' } }]]);
  await kernel.destroy();
  t.equal(
    kernel.listing(),
    'switch\nhost\n/alias\n  dummy eth0 mtu 1500 up\n    address 172.17.0.2/16\n    route 0.0.0.0/0 via 172.17.0.1\n/b\n',
  );
});

t.test('the store in memory, by what only a test does to it', async (t) => {
  const store = memoryStore();
  const lease = { table: 'lease', id: 'a', record: { pool: 'p', address: '10.0.0.1' } } as const;
  store.failAt(1);
  store.append([lease]);
  t.throws(() => store.append([{ ...lease, record: null }]), { code: 'WEAVE_STORE_FAILED' });
  t.strictSame(store.load(), [lease], 'nothing changed');
  store.append([{ ...lease, record: null }]);
  t.strictSame(store.load(), [], 'a failure is injected once');
  store.close();
  t.throws(() => store.append([lease]), { code: 'WEAVE_STORE_FAILED' });
});
