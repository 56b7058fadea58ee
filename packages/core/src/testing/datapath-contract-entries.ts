import type { Observed, Op } from '../kernel.ts';
import { same } from './contract.ts';
import { BRIDGE, bridge, contractCase, FLOOD, PORT, SWITCH, sysctl, VXLAN, veth, vxlan } from './datapath-bench.ts';

const MAC = '5a:77:0a:20:00:02';

/** `bridge` where the bridge sends frames for the MAC to that port. */
const entries = (seen: Observed) => seen.fdb.map((f) => `${f.mac} → ${f.destination ?? 'bridge'}`).sort();

const fdb = (mac: string, destination: string, op: 'addFdb' | 'deleteFdb' = 'addFdb'): Op => ({
  ...{ op, netns: SWITCH, link: VXLAN, mac, destination },
});

const neighbour = (address: string): Op => ({ op: 'addNeighbour', netns: SWITCH, link: BRIDGE, address, mac: MAC });

const onBridge = (key: string, value: string) => sysctl(SWITCH, `net/ipv6/conf/${BRIDGE}/${key}`, value);

export const entryCases = [
  contractCase('forwarding entries: one destination for a MAC, any number to flood to', async ({ does, sees }) => {
    await does(bridge(), vxlan(), fdb(MAC, '192.0.2.2'), fdb(FLOOD, '192.0.2.2'), fdb(FLOOD, '192.0.2.3'));
    await does(fdb(MAC, '192.0.2.3'));
    const flood = [`${FLOOD} → 192.0.2.2`, `${FLOOD} → 192.0.2.3`];
    const all = [...flood, `${MAC} → 192.0.2.3`, `${MAC} → bridge`];
    same(entries(await sees(SWITCH)), all, 'moved');
    same(entries(await sees(SWITCH, { links: [VXLAN] })), all, 'by name');
    await does(fdb(FLOOD, '192.0.2.2', 'deleteFdb'));
    same(entries(await sees(SWITCH)), all.slice(1), 'one of the list');
    await does(fdb(MAC, '192.0.2.3', 'deleteFdb'), fdb(MAC, '192.0.2.3', 'deleteFdb'));
    same(entries(await sees(SWITCH)), [`${FLOOD} → 192.0.2.3`], 'gone from the device and from its bridge');
    await does(vxlan({ vni: 4243 }));
    same(entries(await sees(SWITCH)), [], 'made anew the device has none');
  }),

  contractCase('forwarding entries: off its bridge a device has none there, until asked again', async (bench) => {
    const { does, sees } = bench;
    await does(bridge(), vxlan(), fdb(MAC, '192.0.2.2'));
    await does({ op: 'setLink', netns: SWITCH, name: VXLAN, master: '' });
    same(entries(await sees(SWITCH)), [`${MAC} → 192.0.2.2`], 'off');
    await does(vxlan());
    same(entries(await sees(SWITCH)), [`${MAC} → 192.0.2.2`], 'on again');
    await does(fdb(MAC, '192.0.2.2'));
    same(entries(await sees(SWITCH)), [`${MAC} → 192.0.2.2`, `${MAC} → bridge`], 'asked again');
    await does({ op: 'setLink', netns: SWITCH, name: VXLAN, master: '' }, fdb(MAC, '192.0.2.2', 'deleteFdb'));
    same(entries(await sees(SWITCH)), [], 'deleted where there is no bridge');
  }),

  contractCase('forwarding entries: of a bridge alone, on any port', async ({ does, fails, sees, newNamespace }) => {
    const entry = { netns: SWITCH, link: PORT, mac: MAC };
    await does(bridge(), vxlan(), veth(await newNamespace(), { isolated: true }));
    await does({ op: 'addFdb', ...entry }, { op: 'addFdb', ...entry });
    same((await sees(SWITCH)).fdb, [{ link: PORT, mac: MAC }], 'there');
    same((await sees(SWITCH, { links: [PORT] })).fdb, [{ link: PORT, mac: MAC }], 'by name');
    await does(fdb(MAC, '192.0.2.2'));
    same(entries(await sees(SWITCH, { links: [PORT] })), [], 'a MAC is behind one port');
    await does({ op: 'addFdb', ...entry }, { op: 'deleteFdb', ...entry }, { op: 'deleteFdb', ...entry });
    same(entries(await sees(SWITCH)), [`${MAC} → 192.0.2.2`], 'gone again');
    same((await fails({ op: 'addFdb', ...entry, mac: FLOOD })).code, 'EINVAL', 'a flood needs a destination');
  }),

  contractCase('neighbours of a bridge: IPv6 ones while IPv6 is on there', async ({ does, fails, sees }) => {
    const seen = async () => (await sees(SWITCH)).neighbours.map(({ address }) => address).sort();
    await does(sysctl(SWITCH, 'net/ipv6/conf/default/disable_ipv6', '1'), bridge(), neighbour('10.32.0.2'));
    same((await fails(neighbour('fd77:6561:7665::2'))).code, 'EINVAL', 'off');
    await does(onBridge('addr_gen_mode', '1'), onBridge('accept_ra', '0'), onBridge('disable_ipv6', '0'));
    await does(neighbour('fd77:6561:7665::2'));
    same(await seen(), ['10.32.0.2', 'fd77:6561:7665::2'], 'on');
    await does(sysctl(SWITCH, 'net/ipv6/conf/all/disable_ipv6', '1'));
    same(await seen(), ['10.32.0.2'], 'off everywhere');
    await does(bridge({ mac: '52:00:00:00:00:09' }));
    same(await seen(), [], 'they go with its MAC');
  }),

  contractCase('a VXLAN device is a quiet, isolated port, and sends from where it is told', async ({ does, link }) => {
    await does(bridge(), vxlan({ local: '192.0.2.1' }));
    const seen = (await link(SWITCH, VXLAN))!;
    same([seen.quiet, seen.isolated, seen.local], [true, true, '192.0.2.1'], 'made');
    await does({ op: 'setLink', netns: SWITCH, name: VXLAN, master: '' });
    const off = (await link(SWITCH, VXLAN))!;
    same([off.quiet, off.isolated], [undefined, undefined], 'off its bridge');
    await does(vxlan({ local: '192.0.2.1' }));
    same(await link(SWITCH, VXLAN), seen, 'made again it is the same');
    await does(vxlan({ local: '2001:db8::1' }));
    const anew = (await link(SWITCH, VXLAN))!;
    same([anew.local, anew.index === seen.index], ['2001:db8::1', false], 'from elsewhere it is another');
  }),

  contractCase('a pair: isolated where that is asked for', async ({ does, link, newNamespace }) => {
    const [netns, isolated] = [await newNamespace(), { isolated: true }];
    await does(bridge(), veth(netns));
    same((await link(SWITCH, PORT))?.isolated, undefined, 'not asked for');
    for (const time of ['once', 'twice']) {
      await does(veth(netns, isolated));
      same((await link(SWITCH, PORT))?.isolated, true, time);
    }
    await does({ op: 'setLink', netns: SWITCH, name: PORT, master: '' }, veth(netns, isolated));
    same((await link(SWITCH, PORT))?.isolated, true, 'on its bridge again');
  }),
];
