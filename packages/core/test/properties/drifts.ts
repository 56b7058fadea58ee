import {
  bridgeName,
  desiredSwitch,
  gatewayName,
  HOST,
  handoverName,
  type Op,
  type Resource,
  SWITCH,
} from '@weave/core';
import { isHandedOver, isLink, type LinkResource } from '../../src/resource.ts';
import { attachments, endpoints, networks } from './own.ts';
import { placeOf } from './pass.ts';
import { Idle, of, PATHS, type Playground, type Verb } from './playground.ts';

/** The switch, a network or an endpoint, as the kernel should have it. */
function unitOf(w: Playground, n: number): readonly Resource[] {
  if (n % 20 === 0) return desiredSwitch().resources.filter((r) => r.op === 'setSysctl' && !r.ifPresent);
  const id = of([...w.state.networks.keys(), ...w.state.endpoints.keys()], n);
  return w.resources({ networks: [id], endpoints: [id] });
}

/** What others do to the kernel, and the kernel's own. */
export const drifts = {
  /** Somebody meddles with what is ours. */
  async meddle(w, { a, b, c }) {
    const resource = of(unitOf(w, a), c);
    const op = meddling(w, resource, b, c >> 4);
    if (w.strangers.has(placeOf(op))) throw new Idle();
    await w.kernel.apply([[op]]);
  },
  /** Something else has the name of a link of ours in the switch. */
  async impostor(w, { a, b, c }) {
    const links = unitOf(w, a)
      .filter(isLink)
      .filter((r) => !isHandedOver(r));
    const { name } = of(links, c);
    await w.kernel.apply([[{ op: 'deleteLink', netns: SWITCH, name }]]);
    w.kernel.addForeign(SWITCH, {
      name,
      kind: of(['dummy', 'veth', 'bridge', 'vxlan'], b),
      addresses: ['10.1.0.1/16'],
    });
  },
  /** A link that is none of ours, however much it looks like one. */
  async stranger(w, { a, b, c }) {
    const netns = of([HOST, ...PATHS.filter((path) => w.kernel.netnsId(path))], a);
    const name = b % 2 ? lookalike(w, netns, c) : `dummy${w.serial++}`;
    if (await isThere(w, netns, name)) throw new Idle();
    w.stranger(netns, name, ['203.0.113.5/24', '10.1.0.1/29', '10.1.0.3/16'], of(['dummy', 'veth', 'bridge'], b >> 1));
  },
  /** A container gives our interface another name. */
  async rename(w, { a }) {
    const { sandbox } = of(attachments(w), a);
    if (sandbox?.kind !== 'netns') throw new Idle();
    const { path: netns, interface: name } = sandbox;
    if (w.strangers.has(`${netns} ${name}`) || !(await isThere(w, netns, name))) throw new Idle();
    w.kernel.moveLink(netns, name, netns, `r${w.serial++}`);
  },
  async stray(w, { a, b }) {
    const op: Op = { op: 'addBridge', netns: SWITCH, name: `stray${a % 3}`, mac: '52:00:00:00:00:77', mtu: 1500 };
    const peer = { netns: of([HOST, SWITCH], b), name: `astray${a % 3}`, mtu: 1500, up: true };
    const pair: Op = { op: 'addVeth', netns: SWITCH, name: `strap${a % 3}`, mtu: 1500, up: true, peer };
    await w.kernel.apply([[of([op, { ...op, mtu: 1400 }, pair], b)]]);
  },
  /** A container ends, and may start again at the same path. */
  async ends(w, { a, b }) {
    const { path } = w.target(a);
    for (const stranger of [...w.strangers]) if (stranger.startsWith(`${path} `)) w.strangers.delete(stranger);
    w.kernel.removeNamespace(path);
    if (b % 3) return;
    w.kernel.addNamespace(path);
    w.stranger(path, 'eth0', ['172.17.0.2/16']);
  },
  async starts(w, { a }) {
    const ended = PATHS.filter((path) => !w.kernel.netnsId(path));
    w.kernel.addNamespace(of(ended, a));
  },
} satisfies Record<string, Verb>;

async function isThere(w: Playground, netns: string, name: string): Promise<boolean> {
  const [seen] = await w.kernel.observe([{ netns, links: [name] }]);
  return seen?.links.length === 1;
}

/** A name that is ours, will be, or could be. */
function lookalike(w: Playground, netns: string, n: number): string {
  if (netns !== HOST) return of(['ethwe', 'ethwe-blue', 'ethwe0', 'wvaaaaaaaaaaa'], n);
  const gateways = networks(w).map(({ id }) => gatewayName(id));
  const handovers = endpoints(w, 'docker').map(({ id }) => handoverName(id));
  return of(['weavegwaaaaaaaa', 'wbaaaaaaaaaaa', 'whaaaaaaaaaaa', ...gateways, ...handovers], n);
}

function meddling(w: Playground, resource: Resource, n: number, m: number): Op {
  const either = (...ops: Op[]) => of(ops, n);
  const { netns } = resource;
  if (resource.op === 'addAddress') {
    const stray = { ...resource, address: of([`10.99.0.${m % 9}/24`, 'fd99::7/64'], m) };
    const neighbour = { netns, link: resource.link, address: '10.99.0.9', mac: '02:00:00:00:00:98' };
    return either({ ...resource, op: 'deleteAddress' }, stray, { op: 'addNeighbour', ...neighbour });
  }
  if (resource.op === 'addRoute')
    return either({ ...resource, op: 'deleteRoute' }, { ...resource, destination: '198.18.0.0/15' });
  if (resource.op === 'addFdb')
    return either({ ...resource, op: 'deleteFdb' }, { ...resource, destination: `192.0.2.${m % 9}` });
  if (resource.op === 'setSysctl') return { ...resource, value: resource.value === '0' ? '1' : '0' };
  if (!isLink(resource)) throw new Idle();
  return meddlingWith(w, resource, n, m);
}

function meddlingWith(w: Playground, link: LinkResource, n: number, m: number): Op {
  const far = link.op === 'addVeth' && link.peer.up ? [link.peer] : [];
  const { name, netns } = of([link, ...far], n);
  const masters = ['', ...networks(w).map(({ id }) => bridgeName(id))];
  const changes: Omit<Extract<Op, { op: 'setLink' }>, 'op' | 'netns' | 'name'>[] = [
    { up: false },
    { mtu: 1290 },
    { mac: '02:00:00:00:00:99' },
    // No bridge is a port of another (ELOOP).
    ...(netns === SWITCH && link.op !== 'addBridge' ? masters.map((master) => ({ master })) : []),
  ];
  if (m % 7 === 0) return { op: 'addAddress', netns, link: name, address: '10.1.0.1/16' };
  return n % 5 === 0 ? { op: 'deleteLink', netns, name } : { op: 'setLink', netns, name, ...of(changes, n >> 2) };
}
