import { address as addressOf, cidr, contains } from './address.ts';
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
export function strayContents(r: LinkResource, wanted: ReadonlySet<string>, world: World): Repair[] {
  const ownEnds = [r, ...(r.op === 'addVeth' && !isHandedOver(r) ? [r.peer] : [])];
  return [
    ...ownEnds.flatMap((end) => strayAddresses(end, wanted, world)),
    ...strayEntries(r, wanted, world),
    ...strayNeighbours(r, wanted, world),
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

/** Forwarding entries: where nobody wants any for a MAC. */
const strayEntries = ({ netns, name: link }: Link, wanted: ReadonlySet<string>, world: World): Repair[] =>
  (world.get(netns)?.fdb.get(link) ?? []).flatMap((entry): Repair[] => {
    const op = { op: 'deleteFdb', netns, ...entry } as const;
    const what = identity({ ...op, op: 'addFdb' });
    return wanted.has(what) ? [] : [{ op, why: `${what} is nobody's` }];
  });

const strayNeighbours = ({ netns, name: link }: Link, wanted: ReadonlySet<string>, world: World): Repair[] =>
  (world.get(netns)?.neighbours.get(link) ?? []).flatMap(({ address, mac }): Repair[] => {
    const op = { op: 'deleteNeighbour', netns, link, address, mac } as const;
    const what = identity({ ...op, op: 'addNeighbour' });
    return wanted.has(what) ? [] : [{ op, why: `${what} is nobody's` }];
  });

/** The kernel's own. */
const isLinkLocal = (text: string) => /^fe[89ab]/.test(text);
