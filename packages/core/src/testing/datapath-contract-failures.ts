import type { Failure, Op } from '../kernel.ts';
import { same } from './contract.ts';
import {
  address,
  announcement,
  BRIDGE,
  bridge,
  contractCase,
  FAR,
  PORT,
  route,
  SWITCH,
  sysctl,
  veth,
  vxlan,
} from './datapath-bench.ts';

const NOWHERE = '/run/weave-contract/nowhere';
const about = ({ code, netns, link }: Failure) => [code, netns, link];

export const failureCases = [
  contractCase('a link that is not there is ENODEV, by its name', async ({ does, fails, newNamespace }) => {
    const netns = await newNamespace();
    const on = { netns, link: 'nobody' };
    const ops: Op[] = [
      { op: 'addAddress', ...on, address: '10.32.0.1/12' },
      { op: 'addRoute', ...on, destination: '224.0.0.0/4' },
      { op: 'addNeighbour', ...on, address: '10.32.0.1', mac: '5a:77:0a:20:00:01' },
      { op: 'addFdb', ...on, mac: '5a:77:0a:20:00:01', destination: '192.0.2.1' },
      { ...announcement, ...on },
      { op: 'setLink', netns, name: 'nobody', up: true },
    ];
    same(about(await fails(veth(netns))), ['ENODEV', SWITCH, BRIDGE], 'a master');
    same(about(await fails(vxlan())), ['ENODEV', SWITCH, BRIDGE], 'a master of another kind of link');
    await does(bridge());
    for (const op of ops) same(about(await fails(op)), ['ENODEV', netns, 'nobody'], op.op);
  }),

  contractCase('a namespace that is not there is ENOENT, by its path', async ({ does, fails, link }) => {
    await does(bridge());
    const ops: Op[] = [
      veth(NOWHERE),
      bridge({ netns: NOWHERE }),
      address(NOWHERE, '10.32.0.1/12'),
      route(NOWHERE, '224.0.0.0/4'),
      sysctl(NOWHERE, 'net/ipv4/ip_forward', '1'),
      { op: 'setLink', netns: NOWHERE, name: FAR, up: true },
      { ...announcement, netns: NOWHERE },
    ];
    for (const op of ops) {
      const { code, netns } = await fails(op);
      same([code, netns], ['ENOENT', NOWHERE], op.op);
    }
    same(await link(SWITCH, PORT), undefined, 'no near end is left over');
  }),

  contractCase('deleting what is not there is a success, whatever is missing', async ({ does, newNamespace }) => {
    const netns = await newNamespace();
    await does(bridge(), veth(netns));
    const from = [
      { netns: NOWHERE, link: FAR },
      { netns, link: 'nobody' },
      { netns, link: FAR },
    ];
    for (const on of from)
      await does(
        { op: 'deleteAddress', ...on, address: '10.32.0.1/12' },
        { op: 'deleteAddress', ...on, address: 'fd77:6561:7665::1/64' },
        { op: 'deleteRoute', ...on, destination: '224.0.0.0/4' },
        { op: 'deleteNeighbour', ...on, address: '10.32.0.1', mac: '5a:77:0a:20:00:01' },
      );
    for (const where of [NOWHERE, netns, SWITCH])
      await does(
        { op: 'deleteLink', netns: where, name: 'nobody' },
        { op: 'retireLink', netns: where, name: 'nobody' },
      );
  }),

  contractCase('what makes no sense is EINVAL', async ({ does, fails, newNamespace }) => {
    const netns = await newNamespace();
    await does(bridge(), veth(netns));
    const ops: Op[] = [
      bridge({ name: 'sixteen-bytes-xx' }),
      bridge({ name: '' }),
      bridge({ name: 'a/b' }),
      bridge({ name: 'weave%d' }),
      bridge({ mac: '52:00:00:00:00' }),
      veth(netns, { peer: { netns, name: 'sixteen-bytes-xx', mtu: 1430, up: true } }),
      vxlan({ vni: 2 ** 24 }),
      address(netns, '10.32.0.1'),
      address(netns, '10.32.0.256/12'),
      address(netns, '10.32.0.1/33'),
      route(netns, '224.0.0.0'),
      sysctl(netns, 'kernel/hostname', '1'),
      sysctl(netns, 'net/../kernel/hostname', '1'),
      sysctl(netns, 'net/ipv4/ip_forward', 'yes'),
    ];
    for (const op of ops) same((await fails(op)).code, 'EINVAL', `${op.op} ${JSON.stringify(op)}`);
  }),

  contractCase('a sysctl that is not there is ENOENT, unless only wanted if present', async (bench) => {
    const { does, fails, newNamespace } = bench;
    const netns = await newNamespace();
    const key = `net/ipv4/conf/${FAR}/route_localnet`;
    same((await fails(sysctl(netns, key, '1'))).code, 'ENOENT', 'no link');
    same((await fails(sysctl(netns, 'net/ipv4/there_is_no_such_key', '1'))).code, 'ENOENT', 'no key');
    await does(sysctl(netns, key, '1', true));
  }),

  contractCase('over a link that is down nothing is routed', async ({ does, fails, newNamespace }) => {
    const netns = await newNamespace();
    const peer = { netns, name: FAR, mtu: 1430, up: false };
    await does(bridge(), veth(netns, { peer }), address(netns, '10.32.0.1/12'));
    same((await fails(route(netns, '224.0.0.0/4'))).code, 'ENETDOWN', 'route');
    await does({ op: 'setLink', netns, name: FAR, up: true }, route(netns, '224.0.0.0/4'));
    same((await fails(route(netns, '198.51.100.0/24', { gateway: '192.0.2.1' }))).code, 'ENETUNREACH', 'gateway');
  }),

  contractCase(
    'a batch ends at its first failure; what came before is done, what comes after is not',
    async (bench) => {
      const { datapath, link, newNamespace } = bench;
      const netns = await newNamespace();
      const first = bridge({ name: 'wbfirst' });
      const last = bridge({ name: 'wblast', mac: '52:00:00:00:00:03' });
      const [applied] = await datapath.apply([[first, veth(NOWHERE, { master: 'wbfirst' }), last, veth(netns)]]);
      same([applied?.done, applied?.failed?.index, applied?.failed?.op], [1, 1, 'addVeth'], 'how far it came');
      same((await link(SWITCH, 'wbfirst'))?.up, true, 'before');
      same([await link(SWITCH, 'wblast'), await link(netns, FAR)], [undefined, undefined], 'after');
    },
  ),

  contractCase('batches do not stop each other, and each has its answer', async ({ datapath, link, newNamespace }) => {
    const netns = await newNamespace();
    const applied = await datapath.apply([
      [bridge()],
      [veth(NOWHERE)],
      [],
      [veth(netns), address(netns, '10.32.0.1/12')],
      [address(netns, 'nonsense')],
    ]);
    same(
      applied.map((a) => [a.done, a.failed?.code]),
      [
        [1, undefined],
        [0, 'ENOENT'],
        [0, undefined],
        [2, undefined],
        [0, 'EINVAL'],
      ],
      'answers',
    );
    same((await link(netns, FAR))?.up, true, 'the fourth is done');
    same(await datapath.apply([]), [], 'no batch, no answer');
  }),

  contractCase('what is asked for comes in its order, also when nobody waits', async ({ datapath, newNamespace }) => {
    const netns = await newNamespace();
    const answers = await Promise.all([
      datapath.apply([[bridge(), veth(netns)]]),
      datapath.observe([{ netns, links: [FAR] }]),
      datapath.apply([[{ op: 'retireLink', netns: SWITCH, name: PORT }]]),
      datapath.observe([{ netns: SWITCH, links: [PORT] }]),
    ]);
    same([answers[1][0]?.links.length, answers[3][0]?.links.length], [1, 0], 'seen after each');
  }),

  contractCase('closed it refuses, as data', async ({ datapath }) => {
    await datapath.close();
    const [applied] = await datapath.apply([[bridge()]]);
    same([applied?.done, applied?.failed?.code, applied?.failed?.op], [0, 'EBADF', 'addBridge'], 'apply');
    const [observed] = await datapath.observe([{ netns: SWITCH }]);
    same([observed?.code, observed?.links], ['EBADF', []], 'observe');
    await datapath.close();
  }),
];
