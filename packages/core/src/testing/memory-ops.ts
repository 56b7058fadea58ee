import { cidr, formatAddress, formatCidr, networkOf, parseAddress, parseCidr } from '../address.ts';
import { HOST, type Op, SWITCH, type VethPeer } from '../kernel.ts';
import { isList } from '../resource.ts';
import { Errno } from './errno.ts';
import { checkName, type MemoryKernel, type MemoryLink, type MemoryNetns } from './memory-kernel.ts';
import { readSysctl, writeSysctl } from './memory-sysctl.ts';

type On<K extends Op['op']> = Extract<Op, { op: K }>;

const MAC = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/;

/** Does one operation, as the kernel would. */
export function perform(kernel: MemoryKernel, op: Op): void {
  checkText(op);
  switch (op.op) {
    case 'addBridge':
      addBridge(kernel, op);
      break;
    case 'addVxlan':
      addVxlan(kernel, op);
      break;
    case 'addVeth':
      addVeth(kernel, op);
      break;
    case 'setLink':
      setLink(kernel, op);
      break;
    case 'setPeer':
      setPeer(kernel, op);
      break;
    case 'deleteLink':
    case 'retireLink':
      unless(['ENOENT', 'ENODEV'], () => kernel.remove(kernel.link(op.netns, op.name)));
      break;
    case 'addAddress':
      kernel.link(op.netns, op.link).addAddress(op.address);
      break;
    case 'addRoute':
      addRoute(kernel, op);
      break;
    case 'setSysctl':
      writeSysctl(kernel.netns(op.netns), op.key, op.value, op.ifPresent ?? false);
      break;
    case 'announce':
      kernel.link(SWITCH, op.bridge);
      kernel.link(op.netns, op.link);
      break;
    case 'addNeighbour':
      addNeighbour(kernel.link(op.netns, op.link), op);
      break;
    case 'addFdb':
      addFdb(kernel.link(op.netns, op.link), op);
      break;
    default:
      unless(['ENOENT', 'ENODEV'], () => deleteFrom(kernel.link(op.netns, op.link), op));
  }
}

function unless(codes: string[], work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof Errno && codes.includes(error.code))) throw error;
  }
}

/** What the addon refuses before it asks the kernel. */
function checkText(op: Op): void {
  const refuse = (field: string, text: string) => {
    throw new Errno('EINVAL', `${field}: "${text}" is not one`);
  };
  if ('mac' in op && op.mac !== undefined && !MAC.test(op.mac)) refuse('mac', op.mac);
  if (op.op === 'addVeth' && op.peer.mac !== undefined && !MAC.test(op.peer.mac)) refuse('peer.mac', op.peer.mac);
  if ('address' in op && op.address !== undefined && !isAddress(op.op, op.address)) refuse('address', op.address);
  if (op.op === 'addRoute' && !parseCidr(op.destination)) refuse('destination', op.destination);
  if ((op.op === 'addFdb' || op.op === 'deleteFdb') && !leadsSomewhere(op)) refuse('destination', op.destination ?? '');
  if (op.op === 'addVxlan' && !(op.vni >= 0 && op.vni < 2 ** 24)) refuse('vni', `${op.vni}`);
}

const WITH_LENGTH: readonly Op['op'][] = ['addAddress', 'deleteAddress', 'setPeer'];
const isAddress = (op: Op['op'], text: string) =>
  (WITH_LENGTH.includes(op) ? parseCidr(text) : parseAddress(text)) !== undefined;

const leadsSomewhere = ({ mac, destination }: On<'addFdb' | 'deleteFdb'>) =>
  destination === undefined ? !isList(mac) : parseAddress(destination) !== undefined;

/** A link whose name is wanted for one of another kind: in the switch it gives way. */
function makeRoom(kernel: MemoryKernel, netns: string, existing: MemoryLink, kind: string): void {
  if (netns !== SWITCH && existing.kind !== kind) throw new Errno('EEXIST', 'File exists', { link: existing.name });
  kernel.remove(existing);
}

function addBridge(kernel: MemoryKernel, { netns, name, mac, mtu, alias }: On<'addBridge'>): void {
  checkName(name);
  const site = kernel.netns(netns);
  const existing = site.links.get(name);
  if (existing && existing.kind !== 'bridge') makeRoom(kernel, netns, existing, 'bridge');
  const link = site.links.get(name) ?? kernel.create(site, name, 'bridge');
  link.mtu = mtu;
  link.alias = alias ?? link.alias;
  link.setMac(mac);
  link.setUp(true);
}

function addVxlan(kernel: MemoryKernel, op: On<'addVxlan'>): void {
  checkName(op.name);
  const site = kernel.netns(op.netns);
  const master = kernel.link(op.netns, op.master);
  const existing = site.links.get(op.name);
  const isSame = existing?.kind === 'vxlan' && existing.vni === op.vni && existing.port === op.port;
  if (existing && !(isSame && existing.local === op.local)) makeRoom(kernel, op.netns, existing, 'vxlan');
  const everywhere = [...kernel.namespaces.values()].flatMap((netns) => [...netns.links.values()]);
  if (everywhere.some((l) => l.kind === 'vxlan' && l.vni === op.vni && l.port === op.port && l.name !== op.name))
    throw new Errno('EEXIST', 'A VXLAN device with the specified VNI already exists');
  if (!site.links.has(op.name)) master.mustTakePort();
  const link = site.links.get(op.name) ?? kernel.create(site, op.name, 'vxlan');
  Object.assign(link, { vni: op.vni, port: op.port, local: op.local, mtu: op.mtu });
  link.setMaster(master);
  Object.assign(link, { quiet: true, isolated: true });
  link.setUp(true);
}

function addVeth(kernel: MemoryKernel, op: On<'addVeth'>): void {
  checkName(op.name);
  checkName(op.peer.name);
  const there = kernel.netns(op.peer.netns);
  const here = kernel.netns(op.netns);
  const master = op.master === undefined ? undefined : kernel.link(op.netns, op.master);
  const existing = pairAt(kernel, op, here, there);
  if (!existing) master?.mustTakePort();
  const near = existing ?? makePair(kernel, op, here, there);
  near.mtu = op.mtu;
  near.setUp(op.up);
  if (master) near.setMaster(master);
  if (op.isolated) near.isolated = true;
  adjustFar(kernel, near.peer!, op.peer);
}

function pairAt(kernel: MemoryKernel, op: On<'addVeth'>, here: MemoryNetns, there: MemoryNetns) {
  const existing = here.links.get(op.name);
  const far = there.links.get(op.peer.name);
  if (existing && far && existing.peer === far) return existing;
  if (existing) makeRoom(kernel, op.netns, existing, 'veth');
  return undefined;
}

function makePair(kernel: MemoryKernel, op: On<'addVeth'>, here: MemoryNetns, there: MemoryNetns): MemoryLink {
  if (there.links.has(op.peer.name))
    throw new Errno('EEXIST', 'File exists', { link: op.peer.name, netns: op.peer.netns });
  const near = kernel.create(here, op.name, 'veth');
  const far = kernel.create(there, op.peer.name, 'veth');
  near.peer = far;
  far.peer = near;
  return near;
}

function adjustFar(kernel: MemoryKernel, far: MemoryLink, { netns, mtu, mac, master, up }: VethPeer): void {
  far.mtu = mtu;
  if (master !== undefined) far.setMaster(kernel.link(netns, master));
  if (mac !== undefined) far.setMac(mac);
  if (up) far.setUp(true);
}

function setLink(kernel: MemoryKernel, op: On<'setLink'>): void {
  const link = kernel.link(op.netns, op.name);
  if (op.master !== undefined) link.setMaster(op.master === '' ? undefined : kernel.link(op.netns, op.master));
  if (op.mtu !== undefined) link.mtu = op.mtu;
  if (op.mac !== undefined) link.setMac(op.mac);
  if (op.up !== undefined) link.setUp(op.up);
}

function setPeer(kernel: MemoryKernel, { netns, name, mtu, address, peer }: On<'setPeer'>): void {
  const far = kernel.link(netns, name).peer;
  const places = [peer, HOST].map((path) => kernel.namespaces.get(path));
  if (!far || !places.includes(far.netns))
    throw new Errno('ENODEV', `the other end of "${name}" is not in ${peer}`, { link: name });
  far.mtu = mtu ?? far.mtu;
  if (address !== undefined) far.readdress(address);
}

function mustBeUp(link: MemoryLink): void {
  if (!link.up) throw new Errno('ENETDOWN', 'Network is down');
}

function addRoute(kernel: MemoryKernel, { netns, link: name, ifAbsent, ...rest }: On<'addRoute'>): void {
  const link = kernel.link(netns, name);
  mustBeUp(link);
  const wanted = routeOf(rest);
  if (link.routes.some((route) => isSameRoute(route, wanted))) return;
  const links = [...link.netns.links.values()];
  const isTaken =
    links.some((other) => other.routes.some((route) => route.destination === wanted.destination)) ||
    (cidr(wanted.destination).family === 4 && links.some((other) => other.connected().includes(wanted.destination)));
  if (isTaken && ifAbsent) return;
  if (isTaken) throw new Errno('EEXIST', 'File exists');
  if (wanted.gateway && !link.isOnLink(wanted.gateway)) throw new Errno('ENETUNREACH', 'Nexthop has invalid gateway');
  link.routes.push(wanted);
}

const routeOf = ({ destination, gateway }: { destination: string; gateway?: string }) => ({
  destination: formatCidr(networkOf(cidr(destination))),
  ...(gateway ? { gateway } : {}),
});

const isSameRoute = (a: { destination: string; gateway?: string }, b: typeof a) =>
  a.destination === b.destination && a.gateway === b.gateway;

function addNeighbour(link: MemoryLink, op: On<'addNeighbour'>): void {
  mustBeUp(link);
  const off = readSysctl(link.netns, `net/ipv6/conf/${link.name}/disable_ipv6`) !== '0';
  if (op.address.includes(':') && off) throw new Errno('EINVAL', 'IPv6 is disabled on this device.');
  link.neighbours.set(canonical(op.address), op.mac);
}

/** One destination each, but the lists, which have many and are the device's alone. */
function addFdb(link: MemoryLink, { mac, destination }: On<'addFdb'>): void {
  if (destination === undefined ? !link.master : link.kind !== 'vxlan')
    throw new Errno('EOPNOTSUPP', 'Operation not supported');
  if (destination !== undefined) {
    const entry = { mac, destination: canonical(destination) };
    link.fdb = link.fdb.filter((f) => f.mac !== mac || (isList(mac) && f.destination !== entry.destination));
    link.fdb.push(entry);
  }
  if (link.master && !isList(mac)) for (const port of link.master.ports()) port.given.delete(mac);
  if (link.master && !isList(mac)) link.given.add(mac);
}

function deleteFdb(link: MemoryLink, { mac, destination }: On<'deleteFdb'>): void {
  const gone = destination === undefined ? '' : canonical(destination);
  link.fdb = link.fdb.filter((f) => f.mac !== mac || f.destination !== gone);
  link.given.delete(mac);
}

const canonical = (text: string) => formatAddress(parseAddress(text)!);

type Deletion = On<'deleteAddress' | 'deleteRoute' | 'deleteNeighbour' | 'deleteFdb'>;

function deleteFrom(link: MemoryLink, op: Deletion): void {
  if (op.op === 'deleteAddress') link.deleteAddress(op.address);
  else if (op.op === 'deleteRoute') link.routes = link.routes.filter((route) => !isSameRoute(route, routeOf(op)));
  else if (op.op === 'deleteNeighbour') link.neighbours.delete(canonical(op.address));
  else deleteFdb(link, op);
}
