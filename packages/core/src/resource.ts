import { type Op, type Resource, SWITCH } from './kernel.ts';

/** What tells a resource from the others, whatever its attributes are. */
export function identity(r: Resource): string {
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
      return isList(r.mac) ? `${r.netns} ${r.link} fdb ${r.mac} ${r.destination}` : `${r.netns} ${r.link} fdb ${r.mac}`;
  }
}

/** MACs that have any number of destinations: all zeroes, and groups. */
export const isList = (mac: string) => mac === '00:00:00:00:00:00' || (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;

/** A pair is two links. */
export const identities = (r: Resource): string[] =>
  r.op === 'addVeth' ? [identity(r), `${r.peer.netns} link ${r.peer.name}`] : [identity(r)];

/** The operation that takes a resource away; none for what goes with its link, or was never ours to unset. */
export function removal(r: Resource): Op | undefined {
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

/** An operation of a pass, and what was seen that it mends. */
export interface Repair {
  op: Op;
  /** Absent where it only goes with another. */
  why?: string;
}

export type LinkResource = Extract<Resource, { name: string }>;
export type Veth = Extract<Resource, { op: 'addVeth' }>;

export const isLink = (r: Resource): r is LinkResource => 'name' in r;
/** What a resource is on, where it is on a link; as is a link's own sysctl. */
export function linkOf(r: Resource): string | undefined {
  const link =
    'link' in r ? r.link : r.op === 'setSysctl' ? /^net\/ipv[46]\/conf\/([^/]+)\//.exec(r.key)?.[1] : undefined;
  return link === undefined ? undefined : `${r.netns} ${link}`;
}
export const farEnd = ({ peer }: Veth): string => `${peer.netns} ${peer.name}`;
export const ends = (r: Resource): string[] =>
  isLink(r) ? [`${r.netns} ${r.name}`, ...(r.op === 'addVeth' ? [farEnd(r)] : [])] : [];

/** Written to every link of its namespace, which loses its neighbours of that family. */
export const setsAllIpv6 = (r: Resource): boolean => r.op === 'setSysctl' && r.key === 'net/ipv6/conf/all/disable_ipv6';

/** What that takes along, of ours in the switch. */
export function isOfIpv6(r: Resource): boolean {
  if (r.netns !== SWITCH) return false;
  if (r.op === 'setSysctl') return r.key.endsWith('/disable_ipv6');
  const about = r.op === 'addRoute' ? r.destination : r.op === 'addNeighbour' || r.op === 'addAddress' ? r.address : '';
  return about.includes(':');
}

/** A pair whose far end an engine moves: it may be anywhere by now. */
export const isHandedOver = (r: Resource): boolean => r.op === 'addVeth' && !r.peer.up;

/**
 * Links before contents: where a link turns out to be somebody else's, nothing on it is touched. Removals before
 * additions: an address may take others of its subnet along, and the last one takes the routes.
 */
export const inOrder = <T>(ops: { goingLinks: T[]; links: T[]; goingContents: T[]; contents: T[] }): T[] => [
  ...ops.goingLinks,
  ...ops.links,
  ...ops.goingContents,
  ...ops.contents,
];
