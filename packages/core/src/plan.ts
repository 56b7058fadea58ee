import type { Unit } from './desired.ts';
import { type Observed, type Op, type Query, type Resource, SWITCH } from './kernel.ts';
import { setFarMtu } from './resize.ts';
import {
  ends,
  farEnd,
  identities,
  identity,
  inOrder,
  isHandedOver,
  isLink,
  isOfIpv6,
  type LinkResource,
  linkOf,
  type Repair,
  removal,
  setsAllIpv6,
  type Veth,
} from './resource.ts';
import { farMtuWrong, farOf, farWrong, isEmptied, isThere, madeAnew, see, type World, wrong } from './seen.ts';
import { strayContents, strayLinks } from './strays.ts';

/** Operations that stand or fall together, in order. */
export interface Batch {
  readonly key: string;
  readonly ops: readonly Op[];
  /** What was seen that they mend. */
  readonly why: readonly string[];
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

/**
 * What a pass over these units must look at: by name what of ours is anywhere; and in a full pass the whole switch, as
 * what is there and nobody wants has to go.
 */
export function queries(units: readonly Unit[], isFull = true): Query[] {
  const byNetns = new Map<string, { links: Set<string>; sysctls: Set<string> }>();
  const at = (netns: string) => {
    const query = byNetns.get(netns) ?? { links: new Set(), sysctls: new Set() };
    byNetns.set(netns, query);
    return query;
  };
  for (const { resources } of [{ resources: [] }, ...units])
    for (const r of resources) {
      if (r.op === 'setSysctl') at(r.netns).sysctls.add(r.key);
      if (isLink(r)) at(r.netns).links.add(r.name);
      if (r.op === 'addVeth' && r.peer.up) at(r.peer.netns).links.add(r.peer.name);
    }
  at(SWITCH);
  return [...byNetns].map(([netns, { links, sysctls }]) => ({
    netns,
    ...(netns === SWITCH && isFull ? {} : { links: [...links] }),
    ...(sysctls.size > 0 ? { sysctls: [...sysctls] } : {}),
  }));
}

/** The key of the batch that removes what nobody wants. */
export const STRAYS = 'strays';

/**
 * A full pass: what to do so that what was observed becomes what is desired; a unit that is right has no batch.
 * It deletes only what is in the switch, which is ours, and on interfaces that are ours. A sandbox that is gone is
 * passed over: whoever owns its endpoint will say so.
 */
export function plan(units: readonly Unit[], observed: readonly Observed[]): Batch[] {
  const world = new Map(observed.map((o) => [o.netns, see(o)]));
  const isGone = (r: Resource) => world.get(r.op === 'addVeth' ? r.peer.netns : r.netns)?.gone ?? false;
  const wanted = new Set(units.flatMap((unit) => unit.resources).flatMap(identities));
  const strays = strayLinks(wanted, world);
  const shaken = strays.some(({ op }) => op.op === 'retireLink');
  const present = units.filter(({ resources }) => !resources.some(isGone));
  const going = goingOf(present, wanted, world);
  const repairs = present.map(({ key, resources }) => batchOf(key, repairUnit(resources, going, world, shaken)));
  return [batchOf(STRAYS, strays), ...repairs].filter((batch) => batch.ops.length > 0);
}

/** Pairs that an engine took over and that are gone: they are not made again, as only the engine can move and set them. */
export function goneHandovers(units: readonly Unit[], observed: readonly Observed[]): string[] {
  const links = new Set(observed.flatMap(({ netns, links }) => links.map(({ name }) => `${netns} link ${name}`)));
  return units
    .flatMap(({ resources }) => resources)
    .filter((r) => isHandedOver(r) && !links.has(identity(r)))
    .map((r) => `${identity(r)} is missing: its container has to be connected, or started, again`);
}

const batchOf = (key: string, repairs: readonly Repair[]): Batch => ({
  key,
  ops: repairs.map(({ op }) => op),
  why: repairs.flatMap(({ why }) => why ?? []),
});

interface Going {
  /** By link, what is on it and nobody wants. */
  contents: ReadonlyMap<Resource, readonly Repair[]>;
  /** Whether what was seen of it is gone by the time it would be relied upon, by another unit's repair too. */
  isDisturbed(r: Resource): boolean;
}

function goingOf(units: readonly Unit[], wanted: ReadonlySet<string>, world: World): Going {
  const contents = new Map<Resource, readonly Repair[]>();
  const disturbed = new Set<string>();
  const resources = units.flatMap((unit) => unit.resources);
  for (const r of resources.filter(isLink)) {
    if (!isHandedOver(r) && madeAnew(r, world)) for (const end of ends(r)) disturbed.add(end);
    else contents.set(r, strayContents(r, wanted, world));
    if (isEmptied(r, world)) disturbed.add(`${r.netns} ${r.name}`);
    for (const { op } of contents.get(r) ?? []) if (op.op === 'deleteAddress') disturbed.add(`${op.netns} ${op.link}`);
  }
  const resetsIpv6 = resources.some((r) => !isLink(r) && setsAllIpv6(r) && !isThere(r, world.get(r.netns), false));
  return { contents, isDisturbed: (r) => disturbed.has(linkOf(r) ?? '') || (resetsIpv6 && isOfIpv6(r)) };
}

/** `shaken`: pairs go whose other ends may be anywhere, and with them the routes over those. */
function repairUnit(resources: readonly Resource[], going: Going, world: World, shaken: boolean): Repair[] {
  const links = resources.filter(isLink);
  return inOrder({
    goingLinks: [],
    links: links.flatMap((r) => repairLink(r, world)),
    goingContents: links.flatMap((r) => going.contents.get(r) ?? []),
    contents: resources.flatMap((r): Repair[] => {
      if (isLink(r)) return [];
      const isLost = !isThere(r, world.get(r.netns), shaken);
      if (!isLost && !going.isDisturbed(r)) return [];
      return [{ op: r, ...(isLost ? { why: `${identity(r)} is missing` } : {}) }];
    }),
  });
}

/** Nothing when the link is there and right. Of a far end that was handed over only the MTU is ours to mend. */
function repairLink(r: LinkResource, world: World): Repair[] {
  const link = world.get(r.netns)?.links.get(r.name);
  const repair = (op: Op, why: string | undefined) => (why ? [{ op, why: `${identity(r)} ${why}` }] : []);
  // A pair that is gone went with its container, and is not made again.
  if (isHandedOver(r))
    return link
      ? [...repair(mendNearEnd(r), wrong(link, r)), ...repair(setFarMtu(r as Veth), farMtuWrong(link, r))]
      : [];
  const far = r.op === 'addVeth' ? farOf(r, world) : undefined;
  return repair(r, madeAnew(r, world) ?? wrong(link!, r) ?? (far && farWrong(far, (r as Veth).peer)));
}

const mendNearEnd = (r: LinkResource): Op => ({
  ...{ op: 'setLink', netns: r.netns, name: r.name, up: true, mtu: r.mtu },
  ...('master' in r && r.master ? { master: r.master } : {}),
});
