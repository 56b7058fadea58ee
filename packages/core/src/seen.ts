import type { Observed, ObservedLink, Resource, VethPeer } from './kernel.ts';
import { farEnd, type LinkResource, type Veth } from './resource.ts';

/** What was observed in one namespace, for looking things up by what they are. */
export interface Seen {
  gone: boolean;
  links: Map<string, ObservedLink>;
  entries: Set<string>;
  observed: Observed;
}

export function see(observed: Observed): Seen {
  const entries = new Set<string>();
  for (const a of observed.addresses) entries.add(`${a.link} address ${a.address}`);
  for (const r of observed.routes) entries.add(`route ${r.destination}`).add(`${r.link} route ${r.destination}`);
  for (const n of observed.neighbours) if (n.permanent) entries.add(`${n.link} neighbour ${n.address} ${n.mac}`);
  for (const f of observed.fdb) if (f.destination) entries.add(`${f.link} fdb ${f.mac} ${f.destination}`);
  for (const s of observed.sysctls) entries.add(`sysctl ${s.key} ${s.value}`);
  const links = new Map(observed.links.map((link) => [link.name, link]));
  return { gone: observed.code !== undefined, links, entries, observed };
}

/** By namespace. */
export type World = ReadonlyMap<string, Seen>;

/** Why the operation makes the link, with nothing on it, rather than setting one right. */
export function madeAnew(r: LinkResource, world: World): string | undefined {
  const link = world.get(r.netns)?.links.get(r.name);
  if (!link) return 'is missing';
  if (link.kind !== KINDS[r.op]) return `is a ${link.kind}`;
  if (r.op === 'addVxlan') return link.vni === r.vni ? undefined : `has VNI ${link.vni}`;
  return r.op === 'addVeth' && !arePaired(link, farOf(r, world)) ? `is not paired with ${farEnd(r)}` : undefined;
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
  if (r.op !== 'addBridge') return link.master === r.master ? undefined : `has master ${link.master ?? 'none'}`;
  if (link.mac !== r.mac) return `has MAC ${link.mac}`;
  return (r.alias ?? link.alias) === link.alias ? undefined : 'has another alias';
}

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
  if (seen?.entries.has(entryOf(r, shaken))) return true;
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
      return `${r.link} fdb ${r.mac} ${r.destination}`;
  }
}
