import type { Unit } from './desired.ts';
import { type Observed, type ObservedLink, type Op, type Query, type Resource, SWITCH, type VethPeer } from './kernel.ts';

/** Operations that stand or fall together, in order. */
export interface Batch {
  readonly key: string;
  readonly ops: readonly Op[];
}

/** What tells a resource from the others, whatever its attributes are. */
function identity(r: Resource): string {
  switch (r.op) {
    case 'setSysctl':
      return `${r.netns} sysctl ${r.key}`;
    case 'addBridge':
    case 'addVxlan':
    case 'addVeth':
      return `${r.netns} link ${r.name}`;
    case 'addAddress':
      return `${r.netns} ${r.link} address ${r.address}`;
    case 'addRoute':
      return `${r.netns} ${r.link} route ${r.destination}`;
    case 'addNeighbour':
      return `${r.netns} ${r.link} neighbour ${r.address}`;
    case 'addFdb':
      return `${r.netns} ${r.link} fdb ${r.mac} ${r.destination}`;
  }
}

/** A pair is two links. */
const identities = (r: Resource): string[] =>
  r.op === 'addVeth' ? [identity(r), `${r.peer.netns} link ${r.peer.name}`] : [identity(r)];

/** The operation that takes a resource away; none for what goes with its link, or was never ours to unset. */
function removal(r: Resource): Op | undefined {
  switch (r.op) {
    case 'setSysctl':
      return undefined;
    case 'addVeth':
      return { op: 'retireLink', netns: r.netns, name: r.name };
    case 'addBridge':
    case 'addVxlan':
      return { op: 'deleteLink', netns: r.netns, name: r.name };
    case 'addAddress':
      return { ...r, op: 'deleteAddress' };
    case 'addRoute':
      return { ...r, op: 'deleteRoute' };
    case 'addNeighbour':
      return { ...r, op: 'deleteNeighbour' };
    case 'addFdb':
      return { ...r, op: 'deleteFdb' };
  }
}

const linkOf = (r: Resource): string | undefined => ('link' in r ? `${r.netns} ${r.link}` : undefined);

/**
 * What a verb does: from the resources it found desired to those it left desired, without looking at the kernel.
 * All of `after` is asked for again, as that costs little and mends what it touches.
 */
export function transition(before: readonly Resource[], after: readonly Resource[]): Op[] {
  const staying = new Set(after.map(identity));
  const going = before.filter((r) => !staying.has(identity(r)));
  const deadLinks = new Set(
    going.flatMap((r) =>
      r.op === 'addVeth'
        ? [`${r.netns} ${r.name}`, `${r.peer.netns} ${r.peer.name}`]
        : r.op === 'addVxlan'
          ? [`${r.netns} ${r.name}`]
          : [],
    ),
  );
  const removals = going
    .filter((r) => !deadLinks.has(linkOf(r) ?? ''))
    .reverse()
    .flatMap((r) => removal(r) ?? []);
  return [...after, ...removals];
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
  for (const r of observed.routes) entries.add(`route ${r.destination}`);
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
 * It deletes only what is in the switch, which is ours, and on interfaces that are ours by name. A sandbox that is
 * gone is passed over: whoever owns its endpoint will say so.
 */
export function plan(units: readonly Unit[], observed: readonly Observed[]): Batch[] {
  const world = new Map(observed.map((o) => [o.netns, see(o)]));
  const isGone = (r: Resource) => world.get(r.op === 'addVeth' ? r.peer.netns : r.netns)?.gone ?? false;
  const repairs = units
    .filter(({ resources }) => !resources.some(isGone))
    .map(({ key, resources }) => ({ key, ops: resources.flatMap((r) => repair(r, world)) }));
  const wanted = new Set(units.flatMap((unit) => unit.resources).flatMap(identities));
  return [{ key: STRAYS, ops: strays(units, wanted, world) }, ...repairs].filter((batch) => batch.ops.length > 0);
}

/** Nothing when `r` is there and right. */
function repair(r: Resource, world: World): Op[] {
  const here = world.get(r.netns);
  if (r.op === 'addVeth') return repairVeth(r, world);
  if (r.op === 'addBridge' || r.op === 'addVxlan') return linkDiffers(here?.links.get(r.name), r) ? [r] : [];
  return here?.entries.has(entryOf(r)) || (r.op === 'setSysctl' && r.ifPresent && !hasSysctl(here, r.key)) ? [] : [r];
}

function entryOf(r: Exclude<Resource, { name: string }>): string {
  switch (r.op) {
    case 'setSysctl':
      return `sysctl ${r.key} ${r.value}`;
    case 'addAddress':
      return `${r.link} address ${r.address}`;
    case 'addRoute':
      // Over whichever link: a sandbox has one route for a destination, and the first to come keeps it.
      return `route ${r.destination}`;
    case 'addNeighbour':
      return `${r.link} neighbour ${r.address} ${r.mac}`;
    case 'addFdb':
      return `${r.link} fdb ${r.mac} ${r.destination}`;
  }
}

const hasSysctl = (seen: Seen | undefined, key: string) => seen?.observed.sysctls.some((s) => s.key === key) ?? false;

function linkDiffers(link: ObservedLink | undefined, r: Extract<Resource, { name: string }>): boolean {
  if (!link?.up || link.mtu !== r.mtu) return true;
  if (r.op === 'addBridge') return link.kind !== 'bridge' || link.mac !== r.mac || link.alias !== r.alias;
  if (r.op === 'addVxlan') return link.vni !== r.vni || link.master !== r.master;
  return link.kind !== 'veth' || link.master !== r.master;
}

/**
 * A veth stands and falls with both its ends. Where the far end is an engine's to move, it may be anywhere by now:
 * the near end is mended, but a pair that is gone went with its container, and is not made again.
 */
function repairVeth(r: Extract<Resource, { op: 'addVeth' }>, world: World): Op[] {
  const near = world.get(r.netns)?.links.get(r.name);
  if (!r.peer.up) {
    if (!near || !linkDiffers(near, r)) return [];
    const { netns, name, mtu, master } = r;
    return [{ op: 'setLink', netns, name, up: true, mtu, ...(master ? { master } : {}) }];
  }
  const far = world.get(r.peer.netns)?.links.get(r.peer.name);
  return linkDiffers(near, r) || farDiffers(far, r.peer) ? [r] : [];
}

const farDiffers = (far: ObservedLink | undefined, { mtu, mac, master }: VethPeer): boolean =>
  !far?.up || far.mtu !== mtu || (mac ?? far.mac) !== far.mac || (master ?? far.master) !== far.master;

/** What nobody wants: links in the switch, and addresses on interfaces that we made elsewhere. */
function strays(units: readonly Unit[], wanted: ReadonlySet<string>, world: World): Op[] {
  const inSwitch = world.get(SWITCH);
  const links = [...(inSwitch?.links.values() ?? [])]
    .filter((link) => ['bridge', 'veth', 'vxlan'].includes(link.kind) && !wanted.has(`${SWITCH} link ${link.name}`))
    .map(({ name, kind }): Op => ({ op: kind === 'veth' ? 'retireLink' : 'deleteLink', netns: SWITCH, name }));
  const ours = units.flatMap((u) => u.resources).flatMap((r) => (r.op === 'addVeth' && r.peer.up ? [r.peer] : []));
  const addresses = ours.flatMap(({ netns, name }) =>
    (world.get(netns)?.observed.addresses ?? [])
      .filter((a) => a.link === name && !isLinkLocal(a.address) && !wanted.has(`${netns} ${name} address ${a.address}`))
      .map((a): Op => ({ op: 'deleteAddress', netns, link: name, address: a.address })),
  );
  return [...links, ...addresses];
}

/** The kernel's own. */
const isLinkLocal = (text: string) => /^fe[89ab]/.test(text);
