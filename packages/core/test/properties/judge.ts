import { MULTICAST_ROUTE, SWITCH, type Unit } from '@weave/core';
import { memoryDatapath } from '@weave/core/testing';
import { ends, identity, isHandedOver, isLink, type LinkResource } from '../../src/resource.ts';
import { PATHS, type Playground, same } from './playground.ts';

/** Units, and the strangers' links in their way. */
export type Held = ReadonlyMap<string, { netns: string; name: string }>;
/** Links by `NETNS NAME`. */
type Links = ReadonlyMap<string, { head: string; contents: string[]; routes: string[] }>;

/**
 * Each link of ours is what it is in a kernel that starts with nothing, and of ours there is nothing else: so the plan
 * is not its own judge. But not of units that are `held` up by a stranger's link.
 */
export async function judge(w: Playground, units: readonly Unit[], held: Held): Promise<void> {
  const fresh = memoryDatapath({ namespaces: PATHS.filter((path) => w.kernel.netnsId(path)) });
  for (const { netns, name } of held.values()) fresh.addForeign(netns, { name });
  await fresh.apply(units.map((unit) => unit.resources));
  const [found, wanted] = [linksOf(w.kernel.listing()), linksOf(fresh.listing())];
  for (const { key, resources } of units)
    if (!held.has(key)) for (const link of resources.filter(isLink)) asIfMadeAnew(link, found, wanted);
  nothingElse(units, found);
}

function asIfMadeAnew(link: LinkResource, found: Links, wanted: Links): void {
  const [near = '', ...far] = ends(link);
  // An engine's end may be anywhere, and the pair gone with its container.
  if (!isHandedOver(link)) for (const at of [near, ...far]) same(textOf(found, at), textOf(wanted, at), at);
  else if (found.has(near)) same(withoutPeer(textOf(found, near)), withoutPeer(textOf(wanted, near)), near);
}

function textOf(links: Links, at: string): string {
  const { head = '', contents = [] } = links.get(at) ?? {};
  return [head, ...contents.toSorted()].join('\n');
}

const withoutPeer = (text: string) => text.replace(/ ↔.*/, '');

/** Nothing of ours is where nobody wants it: in the switch, paired with what is there, or on our links. */
function nothingElse(units: readonly Unit[], found: Links): void {
  const resources = units.flatMap((unit) => unit.resources);
  const links = new Set(resources.filter(isLink).flatMap(ends));
  const others = new Set(resources.map(identity));
  for (const [at, { head, routes }] of found) {
    const [, port] = / ↔ switch (\S+)/.exec(head) ?? [];
    const isOurs = at.startsWith(`${SWITCH} `) ? /^(bridge|veth|vxlan) /.test(head) : port !== undefined;
    // An engine calls its end what it likes.
    const isTaken = at.includes(' weng') && links.has(`${SWITCH} ${port}`);
    if (isOurs && !links.has(at) && !isTaken) throw new Error(`nobody wants ${at}: ${head}`);
    for (const route of links.has(at) ? routes : [])
      if (isRouteOfOurs(route) && !others.has(`${at} ${route.replace(/ via .*/, '')}`))
        throw new Error(`nobody wants on ${at}: ${route}`);
  }
}

const isRouteOfOurs = (route: string) =>
  route === `route ${MULTICAST_ROUTE}` || /^route (0\.0\.0\.0|::)\/0 via /.test(route);

function linksOf(listing: string): Links {
  const links = new Map<string, { head: string; contents: string[]; routes: string[] }>();
  let [netns, at] = ['', ''];
  for (const line of listing.split('\n')) {
    const [, margin = '', kind = '', name = ''] = /^( *)(\S*) ?(\S*)/.exec(line) ?? [];
    const text = line.trim();
    if (margin === '') netns = line;
    if (margin.length === 2 && kind !== 'sysctl') {
      at = `${netns} ${name}`;
      const head = netns === SWITCH && kind !== 'bridge' ? withoutMac(text) : text;
      links.set(at, { head, contents: [], routes: [] });
    }
    // Neighbours elsewhere are the container's.
    const isOurs = ['address', 'fdb'].includes(kind) || (kind === 'neighbour' && netns === SWITCH);
    if (margin.length === 4 && isOurs) links.get(at)?.contents.push(text);
    if (margin.length === 4 && kind === 'route') links.get(at)?.routes.push(text);
  }
  return links;
}

/** A port's own is nobody's business. */
const withoutMac = (line: string) => line.replace(/ ([0-9a-f]{2}:){5}[0-9a-f]{2}/, '');
