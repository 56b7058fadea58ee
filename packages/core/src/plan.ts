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
  type LinkResource,
  linkOf,
  type Repair,
  removal,
  type Veth,
} from './resource.ts';
import { farMtuWrong, farOf, farWrong, isThere, madeAnew, see, type World, wrong } from './seen.ts';
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
  const repairs = units
    .filter(({ resources }) => !resources.some(isGone))
    .map(({ key, resources }) => batchOf(key, repairUnit(resources, world, shaken)));
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

/** `shaken`: pairs go whose other ends may be anywhere, and with them the routes over those. */
function repairUnit(resources: readonly Resource[], world: World, shaken: boolean): Repair[] {
  const links = resources.filter(isLink);
  const remade = links.filter((r) => !isHandedOver(r) && madeAnew(r, world));
  const goingContents = links.filter((r) => !remade.includes(r)).flatMap((r) => strayContents(r, resources, world));
  // What was seen on these is gone by the time it would be relied upon.
  const disturbed = new Set([
    ...remade.flatMap(ends),
    ...goingContents.flatMap(({ op }) => ('link' in op ? `${op.netns} ${op.link}` : [])),
  ]);
  return inOrder({
    goingLinks: [],
    links: links.flatMap((r) => repairLink(r, world)),
    goingContents,
    contents: resources.flatMap((r): Repair[] => {
      if (isLink(r)) return [];
      const isLost = !isThere(r, world.get(r.netns), shaken);
      if (!isLost && !disturbed.has(linkOf(r) ?? '')) return [];
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
