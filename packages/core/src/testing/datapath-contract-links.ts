import { holds, same } from './contract.ts';
import {
  address,
  BRIDGE,
  bridge,
  contractCase,
  FAR,
  FAR_MAC,
  HOST,
  PORT,
  route,
  SWITCH,
  stranger,
  VXLAN,
  veth,
  vxlan,
} from './datapath-bench.ts';

export const linkCases = [
  contractCase('a bridge: made, made again, brought back', async ({ does, link }) => {
    const wanted = { name: BRIDGE, kind: 'bridge', mac: '52:00:00:00:00:01', mtu: 1430, up: true, alias: 'weave blue' };
    const seen = async () => {
      const { index: _, ...found } = (await link(SWITCH, BRIDGE))!;
      return Object.fromEntries(Object.keys(wanted).map((key) => [key, found[key as keyof typeof found]]));
    };
    await does(bridge({ alias: 'weave blue' }));
    same(await seen(), wanted, 'made');
    const { index } = (await link(SWITCH, BRIDGE))!;
    await does(bridge({ alias: 'weave blue' }));
    same(await seen(), wanted, 'made again');
    await does({ op: 'setLink', netns: SWITCH, name: BRIDGE, up: false, mtu: 1400, mac: '52:00:00:00:00:09' });
    await does(bridge({ alias: 'weave blue' }));
    same(await seen(), wanted, 'brought back');
    same((await link(SWITCH, BRIDGE))!.index, index, 'it is the same one all along');
  }),

  contractCase('a pair: the far end is made where it belongs', async ({ does, link, sees, newNamespace }) => {
    const netns = await newNamespace();
    await does(bridge(), veth(netns));
    const [near, far] = [await link(SWITCH, PORT), await link(netns, FAR)];
    same([near?.kind, near?.mtu, near?.up, near?.master], ['veth', 1430, true, BRIDGE], 'near end');
    same([far?.kind, far?.mtu, far?.up, far?.mac, far?.master], ['veth', 1430, true, FAR_MAC, undefined], 'far end');
    same([near?.peerIndex, far?.peerIndex], [far?.index, near?.index], 'they know each other');
    same(
      (await sees(HOST)).links.filter((l) => [PORT, FAR].includes(l.name)),
      [],
      'the host sees nothing of it',
    );
  }),

  contractCase('a pair: made again it is the same one, made right', async ({ does, link, newNamespace }) => {
    const netns = await newNamespace();
    await does(bridge(), bridge({ name: 'wbother', mac: '52:00:00:00:00:02' }), veth(netns));
    const before = await link(netns, FAR);
    await does(veth(netns));
    same(await link(netns, FAR), before, 'made again');
    await does(
      { op: 'setLink', netns: SWITCH, name: PORT, up: false, mtu: 1300, master: 'wbother' },
      { op: 'setLink', netns, name: FAR, up: false, mtu: 1300, mac: '02:00:00:00:00:77' },
      veth(netns),
    );
    same(await link(netns, FAR), before, 'far end made right');
    const near = await link(SWITCH, PORT);
    same([near?.mtu, near?.up, near?.master], [1430, true, BRIDGE], 'near end made right');
  }),

  contractCase('a pair: with its far end down, in the host, as an engine wants it', async ({ does, link }) => {
    const handover = veth(HOST, { peer: { netns: HOST, name: 'whcontract', mtu: 1430, mac: FAR_MAC, up: false } });
    await does(bridge(), handover);
    await does(handover);
    const far = await link(HOST, 'whcontract');
    same([far?.up, far?.mac], [false, FAR_MAC], 'far end');
    await does({ op: 'retireLink', netns: SWITCH, name: PORT });
    await does(handover, { op: 'deleteLink', netns: SWITCH, name: PORT });
    same(await link(HOST, 'whcontract'), undefined, 'gone with the near end');
  }),

  contractCase('a pair: the MTU of its other end, wherever that is', async ({ does, fails, link, newNamespace }) => {
    const [netns, elsewhere] = [await newNamespace(), await newNamespace()];
    const setPeer = (peer: string) => ({ op: 'setPeer', netns: SWITCH, name: PORT, mtu: 1290, peer }) as const;
    await does(bridge(), veth(netns));
    same((await link(SWITCH, PORT))?.peerMtu, 1430, 'seen');
    const failure = await fails(setPeer(elsewhere));
    same([failure.code, failure.link, (await link(netns, FAR))?.mtu], ['ENODEV', PORT, 1430], 'not in there');
    same((await fails(setPeer('/nowhere/at/all'))).code, 'ENODEV', 'nor in nothing');
    await does(setPeer(netns), setPeer(netns));
    same((await link(netns, FAR))?.mtu, 1290, 'set');
    const { mtu, peerMtu } = (await link(SWITCH, PORT))!;
    same([mtu, peerMtu], [1430, 1290], 'and nothing else');
    await does({ op: 'deleteLink', netns: SWITCH, name: PORT });
    same((await fails(setPeer(netns))).code, 'ENODEV', 'of a pair that is gone');
    await does(veth(HOST, { peer: { netns: HOST, name: 'whcontract', mtu: 1430, up: false } }), setPeer(netns));
    same((await link(HOST, 'whcontract'))?.mtu, 1290, 'not moved yet');
  }),

  contractCase(
    'a pair: the prefix length of an address at its other end',
    async ({ does, fails, sees, newNamespace }) => {
      const netns = await newNamespace();
      const readdress = (text: string) =>
        ({ op: 'setPeer', netns: SWITCH, name: PORT, peer: netns, address: text }) as const;
      const addresses = async () => (await sees(netns)).addresses.map((each) => each.address).sort();
      await does(bridge(), veth(netns), address(netns, '10.9.0.5/24'), address(netns, 'fd00:9::5/112'));
      await does(route(netns, '0.0.0.0/0', { gateway: '10.9.0.1' }), route(netns, '::/0', { gateway: 'fd00:9::1' }));
      for (const op of [readdress('10.9.0.5/23'), readdress('fd00:9::5/104')]) await does(op, op);
      same(await addresses(), ['10.9.0.5/23', 'fd00:9::5/104'], 'set');
      const seen = (await sees(netns)).routes.filter((r) => r.gateway).map((r) => `${r.destination} ${r.gateway}`);
      same(seen.sort(), ['0.0.0.0/0 10.9.0.1', '::/0 fd00:9::1'], 'what it leads to is there');
      await does(readdress('10.9.0.6/23'));
      same(await addresses(), ['10.9.0.5/23', 'fd00:9::5/104'], 'none is given to it');
      same((await fails(readdress('10.9.0.5'))).code, 'EINVAL', 'not an address with a prefix length');
    },
  ),

  contractCase('a pair: between two bridges', async ({ does, fails, link }) => {
    const peer = { netns: SWITCH, name: 'wtcontract', mtu: 1430, master: 'wbother', up: true };
    const trunk = veth(SWITCH, { peer });
    await does(bridge());
    same((await fails(trunk)).code, 'ENODEV', 'one of them is missing');
    await does(bridge({ name: 'wbother', mac: '52:00:00:00:00:02' }), trunk);
    same([(await link(SWITCH, PORT))?.master, (await link(SWITCH, 'wtcontract'))?.master], [BRIDGE, 'wbother'], 'made');
    await does({ op: 'setLink', netns: SWITCH, name: 'wtcontract', master: '' }, trunk);
    same((await link(SWITCH, 'wtcontract'))?.master, 'wbother', 'made again');
  }),

  contractCase('a pair: wanted in another namespace it is made anew', async ({ does, link, newNamespace }) => {
    const [first, second] = [await newNamespace(), await newNamespace()];
    await does(bridge(), veth(first));
    await does(veth(second));
    same(await link(first, FAR), undefined, 'gone where it was');
    same((await link(second, FAR))?.mac, FAR_MAC, 'there where it is wanted');
  }),

  contractCase('a pair: a peer name that is taken is a failure, and nobody is harmed', async (bench) => {
    const { does, fails, link, newNamespace } = bench;
    const netns = await newNamespace();
    await does(bridge(), stranger(netns, FAR));
    const before = await link(netns, FAR);
    const failure = await fails(veth(netns));
    same([failure.code, failure.errno, failure.link, failure.netns], ['EEXIST', 17, FAR, netns], 'failure');
    same(await link(netns, FAR), before, 'the stranger');
    same(await link(SWITCH, PORT), undefined, 'the near end');
  }),

  contractCase('a pair: the far end of another pair is as taken as any', async (bench) => {
    const { does, fails, link, newNamespace } = bench;
    const netns = await newNamespace();
    await does(bridge(), veth(netns, { name: 'wvother' }));
    const before = await link(netns, FAR);
    const failure = await fails(veth(netns));
    same([failure.code, failure.link], ['EEXIST', FAR], 'failure');
    same(await link(netns, FAR), before, 'the other pair stands');
    same((await link(SWITCH, 'wvother'))?.up, true, 'with both ends');
  }),

  contractCase('in the switch a link of another kind gives way, elsewhere it stays', async (bench) => {
    const { does, fails, link, newNamespace } = bench;
    const netns = await newNamespace();
    await does(bridge(), bridge({ name: PORT }), veth(netns));
    same((await link(SWITCH, PORT))?.kind, 'veth', 'in the switch');
    await does(bridge({ name: PORT }));
    same([(await link(SWITCH, PORT))?.kind, await link(netns, FAR)], ['bridge', undefined], 'and the other way round');
    await does(bridge({ name: 'wvother' }), veth(netns, { name: 'wvother' }));
    const failure = await fails(bridge({ netns, name: FAR }));
    same([failure.code, failure.link], ['EEXIST', FAR], 'in a container');
  }),

  contractCase('a VXLAN device: made, made again, made anew for another VNI', async ({ does, fails, link }) => {
    await does(bridge(), vxlan());
    const { index, ...seen } = (await link(SWITCH, VXLAN))!;
    same([seen.kind, seen.vni, seen.mtu, seen.up, seen.master], ['vxlan', 4242, 1430, true, BRIDGE], 'made');
    await does(vxlan());
    same((await link(SWITCH, VXLAN))!.index, index, 'made again it is the same');
    same((await fails(vxlan({ name: 'wxother' }))).code, 'EEXIST', 'another one of the same VNI');
    await does(vxlan({ vni: 4243, local: '192.0.2.1' }));
    same((await link(SWITCH, VXLAN))!.vni, 4243, 'for another VNI');
    await does(vxlan({ name: 'wxother' }), { op: 'deleteLink', netns: SWITCH, name: VXLAN });
    same(await link(SWITCH, VXLAN), undefined, 'deleted');
  }),

  contractCase('setLink changes what it names and nothing else', async ({ does, link, newNamespace }) => {
    const netns = await newNamespace();
    await does(bridge(), veth(netns));
    const before = (await link(netns, FAR))!;
    await does({ op: 'setLink', netns, name: FAR, mtu: 1290 });
    same(await link(netns, FAR), { ...before, mtu: 1290 }, 'mtu');
    await does({ op: 'setLink', netns, name: FAR, mtu: 1430, mac: '02:00:00:00:00:55', up: false });
    same(await link(netns, FAR), { ...before, mac: '02:00:00:00:00:55', up: false }, 'mac and down');
    await does({ op: 'setLink', netns: SWITCH, name: PORT, master: '' });
    same((await link(SWITCH, PORT))?.master, undefined, 'no master');
    await does({ op: 'setLink', netns: SWITCH, name: PORT, master: BRIDGE });
    same((await link(SWITCH, PORT))?.master, BRIDGE, 'master');
  }),

  contractCase('deleting one end deletes both, and twice is a success', async ({ does, link, newNamespace }) => {
    const netns = await newNamespace();
    await does(bridge(), veth(netns));
    await does({ op: 'deleteLink', netns, name: FAR });
    same([await link(SWITCH, PORT), await link(netns, FAR)], [undefined, undefined], 'both ends');
    await does({ op: 'deleteLink', netns, name: FAR }, { op: 'deleteLink', netns: SWITCH, name: PORT });
  }),

  contractCase('deleting a bridge frees its ports', async ({ does, link, newNamespace }) => {
    const netns = await newNamespace();
    await does(bridge(), veth(netns), { op: 'deleteLink', netns: SWITCH, name: BRIDGE });
    same([await link(SWITCH, BRIDGE), (await link(SWITCH, PORT))?.master], [undefined, undefined], 'without');
    await does(bridge(), veth(netns));
    same((await link(SWITCH, PORT))?.master, BRIDGE, 'a port again');
  }),

  contractCase('retiring frees both names at once, and what was on the link is gone', async (bench) => {
    const { does, link, sees, newNamespace } = bench;
    const netns = await newNamespace();
    await does(bridge(), veth(netns), address(netns, '10.32.0.1/12'), route(netns, '224.0.0.0/4'));
    await does({ op: 'retireLink', netns: SWITCH, name: PORT });
    same(await link(SWITCH, PORT), undefined, 'its name is free');
    await does({ op: 'retireLink', netns: SWITCH, name: PORT });
    for (const last of [1, 2, 3]) {
      await does(veth(netns), address(netns, `10.33.0.${last}/12`));
      const seen = await sees(netns, { links: [FAR] });
      same(seen.addresses, [{ link: FAR, address: `10.33.0.${last}/12` }], 'made again at once');
      same(
        seen.routes,
        [{ link: FAR, destination: '10.32.0.0/12' }].map(withoutRest(seen.routes)),
        'with no old route',
      );
      await does({ op: 'retireLink', netns: SWITCH, name: PORT });
    }
  }),

  contractCase('a namespace that goes takes the pairs along that end in it', async (bench) => {
    const { does, datapath, link, newNamespace, removeNamespace } = bench;
    const [going, staying] = [await newNamespace(), await newNamespace()];
    await does(bridge(), veth(going), veth(staying, { name: 'wvother' }));
    await removeNamespace(going);
    // The kernel cleans up after a namespace in its own time.
    const deadline = Date.now() + 10_000;
    while ((await link(SWITCH, PORT)) && Date.now() < deadline);
    same(await link(SWITCH, PORT), undefined, 'the near end');
    same((await link(staying, FAR))?.up, true, 'the other pair');
    const [observed] = await datapath.observe([{ netns: going }]);
    const { netns, code, links, addresses, routes, neighbours, fdb, sysctls } = observed!;
    same([netns, code], [going, 'ENOENT'], 'what is seen of it');
    same([links, addresses, routes, neighbours, fdb, sysctls], [[], [], [], [], [], []], 'nothing');
    same(datapath.netnsId(going), undefined, 'it has no identity');
  }),

  contractCase('a namespace is known by what it is, not by its path', async ({ datapath, newNamespace }) => {
    const [first, second] = [await newNamespace(), await newNamespace()];
    const ids = [first, second, HOST].map((path) => datapath.netnsId(path));
    same(new Set(ids).size, 3, 'each has its own');
    holds(!ids.includes(undefined), 'each has one');
    same(datapath.netnsId(first), ids[0], 'and keeps it');
    same(datapath.netnsId('/nowhere/at/all'), undefined, 'nothing is nothing');
  }),

  contractCase('a bridge takes 1,023 ports, then EXFULL', async ({ does, fails, link, newNamespace }) => {
    const netns = await newNamespace();
    const port = (n: number) => {
      const peer = { netns, name: `far${n}`, mtu: 1430, up: false };
      return veth(netns, { name: `wv${n}`, up: false, peer });
    };
    await does(bridge(), ...Array.from({ length: 1023 }, (_, n) => port(n)));
    same((await fails(port(1023))).code, 'EXFULL', 'the next one');
    same([await link(SWITCH, 'wv1023'), await link(netns, 'far1023')], [undefined, undefined], 'leaves nothing');
  }),
];

/** As many properties as the first of these has: an adapter may tell more of a route than its place. */
const withoutRest = (seen: readonly object[]) => (wanted: object) => ({ ...seen[0], ...wanted });
