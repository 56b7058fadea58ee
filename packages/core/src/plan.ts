import type { Unit } from './desired.ts';
import {
  type Observed,
  type ObservedLink,
  type Op,
  type Query,
  type Resource,
  SWITCH,
  type VethPeer,
} from './kernel.ts';
import {
  ends,
  farEnd,
  identities,
  identity,
  inOrder,
  isHandedOver,
  isLink,
  type LinkResource,
  linkOf,
  removal,
  type Veth,
} from './resource.ts';

/** Operations that stand or fall together, in order. */
export interface Batch {
  readonly key: string;
  readonly ops: readonly Op[];
}

/**
 * What a verb does: from the resources it found desired to those it left desired, without looking at the kernel.
 * All of `after` is asked for again, as that costs little and mends what it touches.
 */
export function transition(before: readonly Resource[], after: readonly Resource[]): Op[] {
  const had = new Map(before.map((r) => [identity(r), r]));
  const staying = new Set(after.map(identity));
  const going = before.filter((r) => !staying.has(identity(r))).reverse();
  // What is on a link goes with it; and when the far end is wanted elsewhere, the pair is made anew.
  const dead = new Set([...going.flatMap(ends), ...after.flatMap((r) => leftBehind(had.get(identity(r)), r))]);
  const contents = going.filter((r) => !isLink(r) && !dead.has(linkOf(r) ?? ''));
  return inOrder({
    goingLinks: going.filter(isLink).flatMap((r) => removal(r) ?? []),
    links: after.filter(isLink),
    goingContents: contents.flatMap((r) => removal(r) ?? []),
    contents: after.filter((r) => !isLink(r)),
  });
}

function leftBehind(before: Resource | undefined, after: Resource): string[] {
  if (before?.op !== 'addVeth' || after.op !== 'addVeth' || farEnd(before) === farEnd(after)) return [];
  return [farEnd(before)];
}

/** What a full pass must look at: the whole switch, and by name what of ours is elsewhere. */
export function queries(units: readonly Unit[]): Query[] {
  const byNetns = new Map<string, { links: Set<string>; sysctls: Set<string> }>();
  const at = (netns: string) => {
    const query = byNetns.get(netns) ?? { links: new Set(), sysctls: new Set() };
    byNetns.set(netns, query);
    return query;
  };
  for (const { resources } of [{ resources: [] }, ...units])
    for (const r of resources) {
      if (r.op === 'setSysctl') at(r.netns).sysctls.add(r.key);
      if (r.op === 'addVeth' && r.peer.up) at(r.peer.netns).links.add(r.peer.name);
    }
  at(SWITCH);
  return [...byNetns].map(([netns, { links, sysctls }]) => ({
    netns,
    ...(netns === SWITCH ? {} : { links: [...links] }),
    ...(sysctls.size > 0 ? { sysctls: [...sysctls] } : {}),
  }));
}

/** What was observed in one namespace, for looking things up by what they are. */
interface Seen {
  gone: boolean;
  links: Map<string, ObservedLink>;
  entries: Set<string>;
  observed: Observed;
}

function see(observed: Observed): Seen {
  const entries = new Set<string>();
  for (const a of observed.addresses) entries.add(`${a.link} address ${a.address}`);
  for (const r of observed.routes) entries.add(`route ${r.destination}`).add(`${r.link} route ${r.destination}`);
  for (const n of observed.neighbours) if (n.permanent) entries.add(`${n.link} neighbour ${n.address} ${n.mac}`);
  for (const f of observed.fdb) if (f.destination) entries.add(`${f.link} fdb ${f.mac} ${f.destination}`);
  for (const s of observed.sysctls) entries.add(`sysctl ${s.key} ${s.value}`);
  const links = new Map(observed.links.map((link) => [link.name, link]));
  return { gone: observed.code !== undefined, links, entries, observed };
}

/** The key of the batch that removes what nobody wants. */
export const STRAYS = 'strays';

type World = ReadonlyMap<string, Seen>;

/**
 * A full pass: what to do so that what was observed becomes what is desired; a unit that is right has no batch.
 * It deletes only what is in the switch, which is ours, and on interfaces that are ours. A sandbox that is gone is
 * passed over: whoever owns its endpoint will say so.
 */
export function plan(units: readonly Unit[], observed: readonly Observed[]): Batch[] {
  const world = new Map(observed.map((o) => [o.netns, see(o)]));
  const isGone = (r: Resource) => world.get(r.op === 'addVeth' ? r.peer.netns : r.netns)?.gone ?? false;
  const wanted = new Set(units.flatMap((unit) => unit.resources).flatMap(identities));
  const strays = { key: STRAYS, ops: strayLinks(wanted, world) };
  const shaken = strays.ops.some((op) => op.op === 'retireLink');
  const repairs = units
    .filter(({ resources }) => !resources.some(isGone))
    .map(({ key, resources }) => ({ key, ops: repairUnit(resources, world, shaken) }));
  return [strays, ...repairs].filter((batch) => batch.ops.length > 0);
}

/** `shaken`: pairs go whose other ends may be anywhere, and with them the routes over those. */
function repairUnit(resources: readonly Resource[], world: World, shaken: boolean): Op[] {
  const links = resources.filter(isLink);
  const remade = links.filter((r) => !isHandedOver(r) && isMadeAnew(r, world));
  const goingContents = links.filter((r) => !remade.includes(r)).flatMap((r) => strayContents(r, resources, world));
  // What was seen on these is gone by the time it would be relied upon.
  const disturbed = new Set([
    ...remade.flatMap(ends),
    ...goingContents.flatMap((op) => ('link' in op ? `${op.netns} ${op.link}` : [])),
  ]);
  return inOrder({
    goingLinks: [],
    links: links.flatMap((r) => repairLink(r, world)),
    goingContents,
    contents: resources.filter(
      (r) => !isLink(r) && (disturbed.has(linkOf(r) ?? '') || !isThere(r, world.get(r.netns), shaken)),
    ),
  });
}

function isThere(r: Exclude<Resource, LinkResource>, seen: Seen | undefined, shaken: boolean): boolean {
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

/** Nothing when the link is there and right. Of a pair that was handed over only the near end is ours to mend. */
function repairLink(r: LinkResource, world: World): Op[] {
  const link = world.get(r.netns)?.links.get(r.name);
  // A pair that is gone went with its container, and is not made again.
  if (isHandedOver(r)) return link && differs(link, r) ? [mendNearEnd(r)] : [];
  if (isMadeAnew(r, world) || differs(link!, r)) return [r];
  return r.op === 'addVeth' && farDiffers(farOf(r, world)!, r.peer) ? [r] : [];
}

const mendNearEnd = (r: LinkResource): Op => ({
  ...{ op: 'setLink', netns: r.netns, name: r.name, up: true, mtu: r.mtu },
  ...('master' in r && r.master ? { master: r.master } : {}),
});

const KINDS = { addBridge: 'bridge', addVxlan: 'vxlan', addVeth: 'veth' } as const;

/** Whether the operation makes the link, with nothing on it, rather than setting one right. */
function isMadeAnew(r: LinkResource, world: World): boolean {
  const link = world.get(r.netns)?.links.get(r.name);
  if (link?.kind !== KINDS[r.op]) return true;
  if (r.op === 'addVxlan') return link.vni !== r.vni;
  return r.op === 'addVeth' && !arePaired(link, farOf(r, world));
}

const farOf = ({ peer }: Veth, world: World) => world.get(peer.netns)?.links.get(peer.name);

/** Somebody else's link may have the name that the far end had. */
function arePaired(near: ObservedLink, far: ObservedLink | undefined): boolean {
  const agree = (index: number | undefined, peer: number | undefined) => (index ?? peer) === (peer ?? index);
  return far?.kind === 'veth' && agree(near.index, far.peerIndex) && agree(far.index, near.peerIndex);
}

function differs(link: ObservedLink, r: LinkResource): boolean {
  if (!link.up || link.mtu !== r.mtu) return true;
  if (r.op === 'addBridge') return link.mac !== r.mac || (r.alias ?? link.alias) !== link.alias;
  return link.master !== r.master;
}

const farDiffers = (far: ObservedLink, { mtu, mac, master }: VethPeer): boolean =>
  !far.up || far.mtu !== mtu || (mac ?? far.mac) !== far.mac || (master ?? far.master) !== far.master;

/** Links in the switch that nobody wants. */
const strayLinks = (wanted: ReadonlySet<string>, world: World): Op[] =>
  [...(world.get(SWITCH)?.links.values() ?? [])]
    .filter((link) => ['bridge', 'veth', 'vxlan'].includes(link.kind) && !wanted.has(`${SWITCH} link ${link.name}`))
    .map(({ name, kind }): Op => ({ op: kind === 'veth' ? 'retireLink' : 'deleteLink', netns: SWITCH, name }));

/** Addresses on the far end of a pair of ours, and forwarding entries of a VXLAN device, that nobody wants. */
function strayContents(r: LinkResource, unit: readonly Resource[], world: World): Op[] {
  const wanted = new Set(unit.map(identity));
  if (r.op === 'addVeth' && !isHandedOver(r)) {
    const { netns, name: link } = r.peer;
    return (world.get(netns)?.observed.addresses ?? [])
      .filter((a) => a.link === link && !isLinkLocal(a.address))
      .filter(({ address }) => !wanted.has(identity({ op: 'addAddress', netns, link, address })))
      .map(({ address }): Op => ({ op: 'deleteAddress', netns, link, address }));
  }
  if (r.op !== 'addVxlan') return [];
  const { netns, name: link } = r;
  return (world.get(netns)?.observed.fdb ?? [])
    .flatMap(({ link: on, mac, destination }) => (on === link && destination ? { mac, destination } : []))
    .filter((entry) => !wanted.has(identity({ op: 'addFdb', netns, link, ...entry })))
    .map((entry): Op => ({ op: 'deleteFdb', netns, link, ...entry }));
}

/** The kernel's own. */
const isLinkLocal = (text: string) => /^fe[89ab]/.test(text);
