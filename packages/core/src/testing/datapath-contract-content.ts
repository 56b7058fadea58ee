import type { Observed, Op } from '../kernel.ts';
import { holds, same } from './contract.ts';
import {
  address,
  announcement,
  bridge,
  contractCase,
  FAR,
  FLOOD,
  HOST,
  PORT,
  route,
  SWITCH,
  sysctl,
  VXLAN,
  veth,
  vxlan,
} from './datapath-bench.ts';

const MULTICAST = '224.0.0.0/4';

const destinations = (seen: Observed) =>
  seen.routes.map((r) => `${r.destination} ${r.link}${r.gateway ? ` via ${r.gateway}` : ''}`).sort();
const addresses = (seen: Observed) => seen.addresses.map((a) => `${a.link} ${a.address}`).sort();
const value = (seen: Observed) => seen.sysctls[0]?.value;

export const contentCases = [
  contractCase('every operation, one by one, twice: the second changes nothing', async (bench) => {
    const { does, sees, newNamespace } = bench;
    const netns = await newNamespace();
    const making: Op[] = [
      sysctl(SWITCH, 'net/ipv4/ip_forward', '0'),
      bridge(),
      vxlan(),
      { op: 'addFdb', netns: SWITCH, link: VXLAN, mac: FLOOD, destination: '192.0.2.2' },
      { op: 'addFdb', netns: SWITCH, link: VXLAN, mac: '5a:77:0a:20:00:02', destination: '192.0.2.2' },
      veth(netns),
      sysctl(netns, `net/ipv6/conf/${FAR}/accept_ra`, '0'),
      address(netns, '10.32.0.1/12'),
      address(netns, 'fd77:6561:7665::1/64'),
      route(netns, MULTICAST, { ifAbsent: true }),
      route(netns, '198.51.100.0/24', { gateway: '10.32.0.9' }),
      { op: 'addNeighbour', netns, link: FAR, address: '10.32.0.2', mac: '5a:77:0a:20:00:02' },
      { op: 'addNeighbour', netns, link: FAR, address: 'fd77:6561:7665::2', mac: '5a:77:0a:20:00:02' },
      { ...announcement, netns },
      { ...announcement, netns, address: 'fd77:6561:7665::1' },
      { op: 'setLink', netns, name: FAR, mtu: 1400 },
    ];
    const everything = async () => [await sees(SWITCH), await sees(netns)];
    const twice = async (op: Op) => {
      await does(op);
      const once = await everything();
      await does(op);
      same(await everything(), once, `${op.op} twice`);
    };
    for (const op of making) await twice(op);
    const rest = { netns, link: FAR };
    const unmaking: Op[] = [
      { op: 'deleteNeighbour', ...rest, address: '10.32.0.2', mac: '5a:77:0a:20:00:02' },
      { op: 'deleteNeighbour', ...rest, address: 'fd77:6561:7665::2', mac: '5a:77:0a:20:00:02' },
      { op: 'deleteRoute', ...rest, destination: '198.51.100.0/24', gateway: '10.32.0.9' },
      { op: 'deleteRoute', ...rest, destination: MULTICAST },
      { op: 'deleteAddress', ...rest, address: '10.32.0.1/12' },
      { op: 'deleteAddress', ...rest, address: 'fd77:6561:7665::1/64' },
      { op: 'deleteFdb', netns: SWITCH, link: VXLAN, mac: FLOOD, destination: '192.0.2.2' },
      { op: 'deleteFdb', netns: SWITCH, link: VXLAN, mac: '5a:77:0a:20:00:02', destination: '192.0.2.2' },
      { op: 'deleteLink', netns: SWITCH, name: VXLAN },
      { op: 'deleteLink', netns: SWITCH, name: PORT },
    ];
    for (const op of unmaking) await twice(op);
    const seen = await sees(netns);
    same([seen.links, seen.addresses, seen.routes, seen.neighbours], [[], [], [], []], 'nothing is left there');
    same((await sees(SWITCH)).links.length, 1, 'the bridge is left');
  }),

  contractCase('a whole attachment in one batch, in its order', async ({ does, sees, newNamespace }) => {
    const netns = await newNamespace();
    await does(
      bridge(),
      veth(netns),
      sysctl(netns, `net/ipv6/conf/${FAR}/disable_ipv6`, '0'),
      address(netns, '10.32.0.1/12'),
      address(netns, 'fd77:6561:7665::1/64'),
      route(netns, MULTICAST, { ifAbsent: true }),
      { ...announcement, netns },
    );
    const seen = await sees(netns, { links: [FAR] });
    same(addresses(seen), [`${FAR} 10.32.0.1/12`, `${FAR} fd77:6561:7665::1/64`], 'addresses');
    const routes = [`10.32.0.0/12 ${FAR}`, `224.0.0.0/4 ${FAR}`, `fd77:6561:7665::/64 ${FAR}`];
    same(destinations(seen), routes, 'routes');
  }),

  contractCase('links are seen by name, with what is on them; those that are not there are not', async (bench) => {
    const { does, sees, newNamespace } = bench;
    const netns = await newNamespace();
    const other = { netns, name: 'other', mtu: 1430, up: true };
    await does(bridge(), veth(netns), veth(netns, { name: 'wvother', peer: other }));
    await does(address(netns, '10.32.0.1/12'), { op: 'addAddress', netns, link: 'other', address: '10.64.0.1/16' });
    await does({ op: 'addRoute', netns, link: 'other', destination: MULTICAST });
    const named = await sees(netns, { links: [FAR, 'nobody', 'a name that no link can have'] });
    same(
      named.links.map((l) => l.name),
      [FAR],
      'links',
    );
    same(addresses(named), [`${FAR} 10.32.0.1/12`], 'addresses');
    holds(destinations(named).includes(`${MULTICAST} other`), 'routes are seen whatever link they are on');
    const whole = await sees(netns);
    same(whole.links.map((l) => l.name).sort(), [FAR, 'other'], 'all links');
    same(addresses(whole), [`${FAR} 10.32.0.1/12`, 'other 10.64.0.1/16'], 'all addresses');
    const none = await sees(netns, { links: [] });
    same([none.links, none.addresses], [[], []], 'no link');
  }),

  contractCase('addresses: of both families, in their order, each once', async ({ does, sees, newNamespace }) => {
    const netns = await newNamespace();
    const texts = ['10.32.0.1/12', '10.32.0.1/24', '10.32.0.2/12', 'fd77:6561:7665::1/64', 'fd77:6561:7665::2/64'];
    await does(bridge(), veth(netns), ...texts.map((text) => address(netns, text)));
    await does(...texts.map((text) => address(netns, text)));
    same(
      addresses(await sees(netns)),
      texts.map((text) => `${FAR} ${text}`),
      'added twice',
    );
    await does(
      { op: 'deleteAddress', netns, link: FAR, address: '10.32.0.1/24' },
      { op: 'deleteAddress', netns, link: FAR, address: 'fd77:6561:7665::1/128' },
      { op: 'deleteAddress', netns, link: FAR, address: 'fd77:6561:7665::2/64' },
    );
    const left = ['10.32.0.1/12', '10.32.0.2/12', 'fd77:6561:7665::1/64'].map((text) => `${FAR} ${text}`);
    same(addresses(await sees(netns)), left, 'deleted by address and length');
  }),

  contractCase('addresses: the later ones of a subnet go with its first, unless promoted', async (bench) => {
    const { does, sees, newNamespace } = bench;
    const netns = await newNamespace();
    const promote = (on: string) => sysctl(netns, `net/ipv4/conf/${FAR}/promote_secondaries`, on);
    const all = ['10.32.0.1/12', '10.32.0.2/12'].map((text) => address(netns, text));
    const deletion: Op = { op: 'deleteAddress', netns, link: FAR, address: '10.32.0.1/12' };
    await does(bridge(), veth(netns), sysctl(netns, 'net/ipv4/conf/all/promote_secondaries', '0'));
    await does(promote('0'), ...all, deletion);
    same(addresses(await sees(netns)), [], 'gone with the first');
    await does(promote('1'), ...all, deletion);
    same(addresses(await sees(netns)), [`${FAR} 10.32.0.2/12`], 'promoted');
  }),

  contractCase('routes go with the last IPv4 address, and with the link being up', async (bench) => {
    const { does, sees, newNamespace } = bench;
    const netns = await newNamespace();
    await does(bridge(), veth(netns), address(netns, '10.32.0.1/12'), address(netns, 'fd77:6561:7665::1/64'));
    await does(route(netns, MULTICAST), { op: 'deleteAddress', netns, link: FAR, address: '10.32.0.1/12' });
    same(destinations(await sees(netns)), [`fd77:6561:7665::/64 ${FAR}`], 'with the address');
    await does(route(netns, MULTICAST));
    const down: Op = { op: 'setLink', netns, name: FAR, up: false };
    await does(address(netns, '10.32.0.1/12'), down, { ...down, up: true });
    const seen = await sees(netns);
    same(addresses(seen), [`${FAR} 10.32.0.1/12`], 'IPv6 addresses go, IPv4 ones stay');
    same(destinations(seen), [`10.32.0.0/12 ${FAR}`], 'with the link');
  }),

  contractCase('routes: one for a destination; ifAbsent is content with any', async (bench) => {
    const { does, fails, sees, newNamespace } = bench;
    const netns = await newNamespace();
    const other = { netns, name: 'other', mtu: 1430, up: true };
    await does(bridge(), veth(netns), veth(netns, { name: 'wvother', peer: other }));
    await does(address(netns, '10.32.0.1/12'), route(netns, MULTICAST));
    const elsewhere = { op: 'addRoute', netns, link: 'other', destination: MULTICAST } as const;
    const failure = await fails(elsewhere);
    same([failure.code, failure.link], ['EEXIST', 'other'], 'over another link');
    same((await fails(route(netns, MULTICAST, { gateway: '10.32.0.9' }))).code, 'EEXIST', 'by another gateway');
    await does({ ...elsewhere, ifAbsent: true }, route(netns, MULTICAST, { ifAbsent: true }));
    holds(destinations(await sees(netns)).includes(`${MULTICAST} ${FAR}`), 'the first keeps it');
    await does({ op: 'deleteRoute', netns, link: 'other', destination: MULTICAST });
    holds(destinations(await sees(netns)).includes(`${MULTICAST} ${FAR}`), 'deleted over another link it stays');
    await does({ op: 'deleteLink', netns, name: FAR }, { ...elsewhere, ifAbsent: true });
    same(destinations(await sees(netns)), [`${MULTICAST} other`], 'the next one has it');
  }),

  contractCase('neighbours: replaced, and gone with the link being up', async ({ does, sees, newNamespace }) => {
    const netns = await newNamespace();
    const neighbour = (mac: string): Op => ({ op: 'addNeighbour', netns, link: FAR, address: '10.32.0.2', mac });
    await does(bridge(), veth(netns), address(netns, '10.32.0.1/12'), neighbour('5a:77:0a:20:00:02'));
    await does(neighbour('5a:77:0a:20:00:03'), { ...announcement, netns });
    const seen = (await sees(netns)).neighbours.map((n) => `${n.link} ${n.address} ${n.mac} ${n.permanent}`);
    same(seen, [`${FAR} 10.32.0.2 5a:77:0a:20:00:03 true`], 'replaced');
    await does({ op: 'setLink', netns, name: FAR, up: false });
    same((await sees(netns)).neighbours, [], 'gone with the link');
  }),

  contractCase('sysctls: of one namespace, seen when asked for', async ({ does, sees, newNamespace }) => {
    const [netns, other] = [await newNamespace(), await newNamespace()];
    const key = 'net/ipv4/ip_forward';
    await does(sysctl(netns, key, '0'), sysctl(other, key, '0'), sysctl(netns, key, '1'));
    same((await sees(netns, { sysctls: [key] })).sysctls, [{ key, value: '1' }], 'set');
    same((await sees(other, { links: [], sysctls: [key] })).sysctls, [{ key, value: '0' }], 'not elsewhere');
    same((await sees(netns)).sysctls, [], 'not when nobody asks');
    const none = 'net/ipv4/there_is_no_such_key';
    same((await sees(netns, { sysctls: [none, key] })).sysctls, [{ key, value: '1' }], 'those that exist');
    await does(sysctl(netns, none, '1', true));
    same(value(await sees(HOST, { links: [], sysctls: [none] })), undefined, 'in the host too');
  }),

  contractCase('sysctls: of a link they come and go with it', async ({ does, sees, newNamespace }) => {
    const netns = await newNamespace();
    const key = `net/ipv4/conf/${FAR}/route_localnet`;
    same(value(await sees(netns, { sysctls: [key] })), undefined, 'before');
    await does(bridge(), veth(netns), sysctl(netns, key, '1'));
    same(value(await sees(netns, { sysctls: [key] })), '1', 'set');
    await does({ op: 'deleteLink', netns, name: FAR });
    same(value(await sees(netns, { sysctls: [key] })), undefined, 'after');
    await does(veth(netns));
    same(value(await sees(netns, { sysctls: [key] })), '0', 'another link has its own');
  }),

  contractCase('IPv6 that is off is turned on for an address, and off again takes it', async (bench) => {
    const { does, sees, newNamespace } = bench;
    const netns = await newNamespace();
    const off = (on: string) => sysctl(netns, `net/ipv6/conf/${on}/disable_ipv6`, '1');
    const both = [`${FAR} 10.32.0.1/12`, `${FAR} fd77:6561:7665::1/64`];
    await does(bridge(), off('default'), veth(netns), address(netns, 'fd77:6561:7665::1/64'));
    await does(address(netns, '10.32.0.1/12'));
    same(addresses(await sees(netns)), both, 'on');
    await does(off('all'));
    same(addresses(await sees(netns)), [`${FAR} 10.32.0.1/12`], 'off');
    await does(address(netns, 'fd77:6561:7665::1/64'));
    same(addresses(await sees(netns)), both, 'on again');
  }),
];
