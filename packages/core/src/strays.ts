import { address as addressOf, cidr, contains } from './address.ts';
import type { Resource } from './kernel.ts';
import { SWITCH } from './kernel.ts';
import { identity, isHandedOver, type LinkResource, type Repair } from './resource.ts';
import type { World } from './seen.ts';

/** Links in the switch that nobody wants. */
export const strayLinks = (wanted: ReadonlySet<string>, world: World): Repair[] =>
  [...(world.get(SWITCH)?.links.values() ?? [])]
    .filter((link) => ['bridge', 'veth', 'vxlan'].includes(link.kind) && !wanted.has(`${SWITCH} link ${link.name}`))
    .map(({ name, kind }) => ({
      op: { op: kind === 'veth' ? 'retireLink' : 'deleteLink', netns: SWITCH, name },
      why: `${SWITCH} link ${name} is nobody's`,
    }));

/** What is on a link of ours, on both ends of a pair, and nobody wants. */
export function strayContents(r: LinkResource, unit: readonly Resource[], world: World): Repair[] {
  const wanted = new Set(unit.map(identity));
  const ownEnds = [r, ...(r.op === 'addVeth' && !isHandedOver(r) ? [r.peer] : [])];
  return [
    ...ownEnds.flatMap((end) => strayAddresses(end, wanted, world)),
    ...(r.op === 'addVxlan' ? strayEntries(r, wanted, world) : []),
  ];
}

type Link = Pick<LinkResource, 'netns' | 'name'>;

/** Addresses, and the routes that only they made possible. */
function strayAddresses({ netns, name: link }: Link, wanted: ReadonlySet<string>, world: World): Repair[] {
  const { addresses = [], routes = [] } = world.get(netns)?.observed ?? {};
  const here = addresses.filter((a) => a.link === link && !isLinkLocal(a.address)).map(({ address }) => address);
  const identityOf = (address: string) => identity({ op: 'addAddress', netns, link, address });
  const going = here.filter((address) => !wanted.has(identityOf(address)));
  if (going.length === 0) return [];
  const reaches = (gateway: string) => (address: string) => contains(cidr(address), addressOf(gateway));
  const staying = here.filter((address) => !going.includes(address));
  const dead = routes.flatMap(({ link: over, destination, gateway }): Repair[] => {
    if (over !== link || !gateway || !going.some(reaches(gateway)) || staying.some(reaches(gateway))) return [];
    // The kernel keeps it.
    const why = `${identity({ op: 'addRoute', netns, link, destination })} leads nowhere`;
    return [{ op: { op: 'deleteRoute', netns, link, destination, gateway }, why }];
  });
  const gone = going.map((address): Repair => {
    return { op: { op: 'deleteAddress', netns, link, address }, why: `${identityOf(address)} is nobody's` };
  });
  return [...dead, ...gone];
}

/** Forwarding entries of a VXLAN device. */
const strayEntries = ({ netns, name: link }: Link, wanted: ReadonlySet<string>, world: World): Repair[] =>
  (world.get(netns)?.observed.fdb ?? []).flatMap(({ link: on, mac, destination }): Repair[] => {
    if (on !== link || !destination) return [];
    const what = identity({ op: 'addFdb', netns, link, mac, destination });
    if (wanted.has(what)) return [];
    return [{ op: { op: 'deleteFdb', netns, link, mac, destination }, why: `${what} is nobody's` }];
  });

/** The kernel's own. */
const isLinkLocal = (text: string) => /^fe[89ab]/.test(text);
