import { cidr, contains, type Family, formatCidr, networkOf, sizeOf } from '../address.ts';
import { HOST, SWITCH } from '../kernel.ts';
import { Errno } from './errno.ts';
import { forget, inherit, readSysctl } from './memory-sysctl.ts';

/** BR_MAX_PORTS, less the bridge itself. */
const PORTS_MAX = 1023;

export interface MemoryRoute {
  destination: string;
  gateway?: string;
}

const familyOf = (text: string): Family => (text.includes(':') ? 6 : 4);

export class MemoryLink {
  mtu = 1500;
  mac: string;
  /** Whether somebody asked for this MAC. */
  macGiven = false;
  up = false;
  master: MemoryLink | undefined;
  peer: MemoryLink | undefined;
  vni: number | undefined;
  port: number | undefined;
  local: string | undefined;
  alias: string | undefined;
  addresses: string[] = [];
  routes: MemoryRoute[] = [];
  neighbours = new Map<string, string>();
  fdb: { mac: string; destination: string }[] = [];
  /** What its bridge was given for it. */
  given = new Set<string>();
  quiet = false;
  isolated = false;
  readonly inherited: ReadonlyMap<string, string>;
  readonly kind: string;
  netns: MemoryNetns;
  name: string;
  index: number;

  constructor(netns: MemoryNetns, name: string, kind: string, serial: number) {
    this.netns = netns;
    this.name = name;
    this.kind = kind;
    this.index = netns.nextIndex++;
    this.mac = `02:00:00:${[16, 8, 0].map((bit) => ((serial >> bit) & 255).toString(16).padStart(2, '0')).join(':')}`;
    this.inherited = inherit(netns);
  }

  /** The kernel's own routes, which come with addresses. */
  connected(): string[] {
    if (!this.up) return [];
    const nets = this.addresses.map(cidr).filter((c) => c.family === 6 || c.length < 32);
    return [...new Set(nets.map((c) => formatCidr(networkOf(c))))];
  }

  /** What the kernel drops of a family that is off, or has no address any more. */
  dropFamily(family: Family): void {
    if (family === 6) this.addresses = this.addresses.filter((text) => familyOf(text) !== 6);
    this.routes = this.routes.filter((route) => familyOf(route.destination) !== family);
    if (family === 6)
      for (const text of [...this.neighbours.keys()]) if (familyOf(text) === 6) this.neighbours.delete(text);
  }

  setUp(up: boolean): void {
    if (this.up && !up) {
      this.dropFamily(4);
      this.dropFamily(6);
      this.neighbours.clear();
    }
    this.up = up;
  }

  setMac(mac: string): void {
    if (mac !== this.mac) this.neighbours.clear();
    this.mac = mac;
    this.macGiven = true;
  }

  setMaster(master: MemoryLink | undefined): void {
    if (this.master === master) return;
    master?.mustTakePort();
    this.master = master;
    // It is another port then.
    this.given.clear();
    this.quiet = false;
    this.isolated = false;
  }

  mustTakePort(): void {
    if (this.kind !== 'bridge') throw new Errno('EOPNOTSUPP', 'Operation not supported');
    if (this.ports().length >= PORTS_MAX) throw new Errno('EXFULL', 'Exchange full');
  }

  ports(): MemoryLink[] {
    return [...this.netns.links.values()].filter((link) => link.master === this);
  }

  addAddress(text: string): void {
    const wanted = cidr(text);
    const off = `net/ipv6/conf/${this.name}/disable_ipv6`;
    if (wanted.family === 6 && readSysctl(this.netns, off) !== '0') this.netns.sysctls.set(off, '0');
    // An IPv6 address that is there keeps its prefix length.
    const same = (c: { value: bigint; family: Family; length: number }) =>
      c.family === wanted.family && c.value === wanted.value && (c.family === 6 || c.length === wanted.length);
    if (!this.addresses.some((other) => same(cidr(other)))) this.addresses.push(formatCidr(wanted));
  }

  /** Without `promote_secondaries` the later addresses of a subnet go with its first. */
  deleteAddress(text: string): void {
    const at = this.addresses.indexOf(formatCidr(cidr(text)));
    if (at < 0) return;
    const gone = cidr(text);
    const isAlike = (other: string) =>
      cidr(other).family === 4 && cidr(other).length === gone.length && contains(gone, cidr(other));
    const isFirst = gone.family === 4 && !this.addresses.slice(0, at).some(isAlike);
    const promotes = ['all', this.name].some(
      (on) => readSysctl(this.netns, `net/ipv4/conf/${on}/promote_secondaries`) !== '0',
    );
    this.addresses.splice(at, 1);
    if (isFirst && !promotes) this.addresses = this.addresses.filter((other) => !isAlike(other));
    if (gone.family === 4 && !this.addresses.some((other) => familyOf(other) === 4)) this.dropFamily(4);
  }

  /** Another prefix length for an address that is there. */
  readdress(text: string): void {
    const wanted = cidr(text);
    const isIt = (other: string) => cidr(other).family === wanted.family && cidr(other).value === wanted.value;
    if (!this.addresses.some(isIt)) return;
    this.addresses = [...this.addresses.filter((other) => !isIt(other)), formatCidr(wanted)];
  }

  isOnLink(gateway: string): boolean {
    const wanted = cidr(`${gateway}/${familyOf(gateway) === 4 ? 32 : 128}`);
    return this.addresses.some((text) => sizeOf(cidr(text)) > 1n && contains(cidr(text), wanted));
  }
}

export class MemoryNetns {
  readonly id: string;
  readonly links = new Map<string, MemoryLink>();
  /** Those that were set. */
  readonly sysctls = new Map<string, string>();
  /** The loopback has the first. */
  nextIndex = 2;

  constructor(id: string) {
    this.id = id;
  }
}

/** Namespaces with their links, and how they hang together. */
export class MemoryKernel {
  readonly namespaces = new Map<string, MemoryNetns>();
  #serial = 0;
  #inode = 4026531840;

  constructor(paths: Iterable<string>) {
    for (const path of [SWITCH, HOST, ...paths]) this.namespaces.set(path, this.newNetns());
  }

  newNetns(): MemoryNetns {
    this.#inode++;
    return new MemoryNetns(`4:${this.#inode}`);
  }

  /** The path is gone; the namespace goes when it was the last one to it. */
  unlink(path: string): void {
    const netns = this.namespaces.get(path);
    if (!netns || !this.namespaces.delete(path)) return;
    if ([...this.namespaces.values()].includes(netns)) return;
    for (const link of [...netns.links.values()]) this.remove(link);
  }

  pathOf(netns: MemoryNetns): string {
    for (const [path, other] of this.namespaces) if (other === netns) return path;
    return '(nowhere)';
  }

  netns(path: string): MemoryNetns {
    const found = this.namespaces.get(path);
    if (!found) throw new Errno('ENOENT', `${path}: No such file or directory`, { netns: path });
    return found;
  }

  link(path: string, name: string): MemoryLink {
    checkName(name);
    const found = this.netns(path).links.get(name);
    if (!found) throw new Errno('ENODEV', `there is no link "${name}"`, { link: name });
    return found;
  }

  create(netns: MemoryNetns, name: string, kind: string): MemoryLink {
    if (netns.links.has(name)) throw new Errno('EEXIST', 'File exists', { link: name });
    const link = new MemoryLink(netns, name, kind, ++this.#serial);
    netns.links.set(name, link);
    return link;
  }

  /** With its other end, and off its ports. */
  remove(link: MemoryLink): void {
    for (const each of link.peer ? [link, link.peer] : [link]) {
      for (const port of each.ports()) port.setMaster(undefined);
      each.netns.links.delete(each.name);
      forget(each.netns, each.name);
    }
  }

  /** As `ip link set NAME netns TO name NEWNAME`: all that was on it is lost. */
  move(link: MemoryLink, to: MemoryNetns, name: string): void {
    if (to.links.has(name)) throw new Errno('EEXIST', 'File exists', { link: name });
    link.setUp(false);
    link.addresses = [];
    link.master = undefined;
    link.netns.links.delete(link.name);
    forget(link.netns, link.name);
    link.netns = to;
    link.name = name;
    link.index = to.nextIndex++;
    to.links.set(name, link);
  }
}

export function checkName(name: string): void {
  if (name.length < 1 || name.length > 15 || /[\s/:%]/.test(name) || name === '.' || name === '..')
    throw new Errno('EINVAL', `name: "${name}" is not a link name`);
}
