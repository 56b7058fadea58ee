import type { Observed, ObservedLink, Resource, VethPeer } from './kernel.ts';
import { farEnd, isList, type LinkResource, type Veth } from './resource.ts';

/** What was observed in one namespace, for looking things up by what they are. */
export interface Seen {
  gone: boolean;
  links: Map<string, ObservedLink>;
  entries: Set<string>;
  /** By link. */
  fdb: Map<string, Observed['fdb']>;
  neighbours: Map<string, Observed['neighbours']>;
  observed: Observed;
}

export function see(observed: Observed): Seen {
  const entries = new Set<string>();
  for (const a of observed.addresses) entries.add(`${a.link} address ${a.address}`);
  for (const r of observed.routes) entries.add(`route ${r.destination}`).add(`${r.link} route ${r.destination}`);
  const permanent = observed.neighbours.filter((n) => n.permanent);
  for (const n of permanent) entries.add(`${n.link} neighbour ${n.address} ${n.mac}`);
  for (const f of observed.fdb) entries.add(`${f.link} fdb ${f.mac} ${f.destination ?? BRIDGE}`);
  for (const s of observed.sysctls) entries.add(`sysctl ${s.key} ${s.value}`);
  const links = new Map(observed.links.map((link) => [link.name, link]));
  const gone = observed.code !== undefined;
  return { gone, links, entries, fdb: byLink(observed.fdb), neighbours: byLink(permanent), observed };
}

/** Where the entry is the bridge's. */
const BRIDGE = 'bridge';

const byLink = <T extends { link: string }>(all: readonly T[]) => Map.groupBy(all, ({ link }) => link);

/** By namespace. */
export type World = ReadonlyMap<string, Seen>;

/** Why the operation makes the link, with nothing on it, rather than setting one right. */
export function madeAnew(r: LinkResource, world: World): string | undefined {
  const link = world.get(r.netns)?.links.get(r.name);
  if (!link) return 'is missing';
  if (link.kind !== KINDS[r.op]) return `is a ${link.kind}`;
  if (r.op === 'addVxlan' && link.vni !== r.vni) return `has VNI ${link.vni}`;
  if (r.op === 'addVxlan') return link.local === r.local ? undefined : `sends from ${link.local ?? 'anywhere'}`;
  return r.op === 'addVeth' && !arePaired(link, farOf(r, world)) ? `is not paired with ${farEnd(r)}` : undefined;
}

/** Whether setting it right takes what is on it along: a bridge its neighbours, a port what its bridge has of it. */
export function isEmptied(r: LinkResource, world: World): boolean {
  const link = world.get(r.netns)?.links.get(r.name);
  return link !== undefined && (r.op === 'addBridge' ? link.mac !== r.mac : link.master !== r.master);
}

const KINDS = { addBridge: 'bridge', addVxlan: 'vxlan', addVeth: 'veth' } as const;

export const farOf = ({ peer }: Veth, world: World) => world.get(peer.netns)?.links.get(peer.name);

/** Somebody else's link may have the name that the far end had. */
function arePaired(near: ObservedLink, far: ObservedLink | undefined): boolean {
  const agree = (index: number | undefined, peer: number | undefined) => (index ?? peer) === (peer ?? index);
  return far?.kind === 'veth' && agree(near.index, far.peerIndex) && agree(far.index, near.peerIndex);
}

export function wrong(link: ObservedLink, r: LinkResource): string | undefined {
  if (!link.up) return 'is down';
  if (link.mtu !== r.mtu) return `has MTU ${link.mtu}`;
  if (r.op !== 'addBridge' && link.master !== r.master) return `has master ${link.master ?? 'none'}`;
  if (r.op === 'addVxlan' && !link.quiet) return 'learns, or is flooded with ARP';
  if (r.op !== 'addBridge') return isIsolated(r) && !link.isolated ? 'is not isolated' : undefined;
  if (link.mac !== r.mac) return `has MAC ${link.mac}`;
  return (r.alias ?? link.alias) === link.alias ? undefined : 'has another alias';
}

const isIsolated = (r: LinkResource) => r.op === 'addVxlan' || (r.op === 'addVeth' && r.isolated);

export function farWrong(far: ObservedLink, { netns, name, mtu, mac, master }: VethPeer): string | undefined {
  const is = (what: string) => `has its other end ${netns} ${name} ${what}`;
  if (!far.up) return is('down');
  if (far.mtu !== mtu) return is(`with MTU ${far.mtu}`);
  if ((mac ?? far.mac) !== far.mac) return is(`with MAC ${far.mac}`);
  return (master ?? far.master) === far.master ? undefined : is(`with master ${far.master ?? 'none'}`);
}

/** Of a pair whose far end may have any name, anywhere. */
export const farMtuWrong = ({ peerMtu }: ObservedLink, { mtu }: LinkResource): string | undefined =>
  (peerMtu ?? mtu) === mtu ? undefined : `has its other end with MTU ${peerMtu}`;

export function isThere(r: Exclude<Resource, LinkResource>, seen: Seen | undefined, shaken: boolean): boolean {
  if (seen?.entries.has(entryOf(r, shaken)))
    return r.op !== 'addFdb' || isList(r.mac) || seen.entries.has(`${r.link} fdb ${r.mac} ${BRIDGE}`);
  return r.op === 'setSysctl' && !!r.ifPresent && !seen?.observed.sysctls.some((s) => s.key === r.key);
}

function entryOf(r: Exclude<Resource, LinkResource>, shaken: boolean): string {
  switch (r.op) {
    case 'setSysctl':
      return `sysctl ${r.key} ${r.value}`;
    case 'addAddress':
      return `${r.link} address ${r.address}`;
    case 'addRoute':
      // Over whichever link: a sandbox has one route for a destination, and the first to come keeps it.
      return shaken ? `${r.link} route ${r.destination}` : `route ${r.destination}`;
    case 'addNeighbour':
      return `${r.link} neighbour ${r.address} ${r.mac}`;
    case 'addFdb':
      return `${r.link} fdb ${r.mac} ${r.destination ?? BRIDGE}`;
  }
}
