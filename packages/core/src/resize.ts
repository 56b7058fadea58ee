import { desiredEndpoint, desiredNetwork } from './desired.ts';
import type { Op, Resource } from './kernel.ts';
import type { Change, Network } from './model.ts';
import { farEnd, identity, isLink, type LinkResource, type Veth } from './resource.ts';
import type { State } from './state.ts';

/** Networks that have another MTU, or larger subnets, once these changes are true. */
export const resizedNetworks = (state: State, changes: readonly Change[]): string[] =>
  changes.flatMap((change) => {
    const before = state.networks.get(change.id);
    if (change.table !== 'network' || !change.record || !before) return [];
    const sizes = ({ mtu, subnets }: Network) => [mtu, ...subnets.map((s) => s.cidr)].join();
    return sizes(before) === sizes(change.record) ? [] : [change.id];
  });

/** All that these networks are made of on this host. */
export const partsOf = (state: State, networks: readonly string[]): Resource[] =>
  networks
    .flatMap((id) => [
      desiredNetwork(state, state.networks.get(id)!),
      ...state.endpointsOf(id).map((endpoint) => desiredEndpoint(state, endpoint)),
    ])
    .flatMap(({ resources }) => resources);

/**
 * What makes them as large as they are after changes, without stopping what goes on over them. Each stands alone: a
 * sandbox that is just going keeps the others from nothing.
 */
export const resize = (before: readonly Resource[], after: readonly Resource[]): Op[][] => [
  ...setMtus(before.filter(isLink), after.filter(isLink)),
  ...widen(before, after),
];

/** Prefix lengths of addresses that stay, at the far ends of pairs. */
function widen(before: readonly Resource[], after: readonly Resource[]): Op[][] {
  const plain = (r: AddAddress) => `${r.netns} ${r.link} ${r.address.split('/')[0]}`;
  const had = new Map(before.filter(isAddress).map((r) => [plain(r), r.address]));
  const pairs = new Map(after.filter((r) => r.op === 'addVeth').map((r) => [farEnd(r), r]));
  return after.filter(isAddress).flatMap((r): Op[][] => {
    const pair = pairs.get(`${r.netns} ${r.link}`);
    if (!pair || (had.get(plain(r)) ?? r.address) === r.address) return [];
    return [[{ op: 'setPeer', netns: pair.netns, name: pair.name, peer: r.netns, address: r.address }]];
  });
}

type AddAddress = Extract<Resource, { op: 'addAddress' }>;
const isAddress = (r: Resource): r is AddAddress => r.op === 'addAddress';

/**
 * In an order that lets no frame meet a link too small for it: where links shrink, first what is inside, so that nothing
 * larger is sent any more; where they grow, that comes last.
 */
function setMtus(before: readonly LinkResource[], after: readonly LinkResource[]): Op[][] {
  const mtus = new Map(before.map((r) => [identity(r), r.mtu]));
  const resized = after.filter((r) => (mtus.get(identity(r)) ?? r.mtu) !== r.mtu);
  const shrinks = resized.some((r) => mtus.get(identity(r))! > r.mtu);
  const pairs = resized.filter((r) => r.op === 'addVeth');
  const outwards = [
    ...pairs.map(setFarMtu),
    ...pairs.map(setMtu),
    ...resized.filter((r) => r.op !== 'addVeth').map(setMtu),
  ];
  return (shrinks ? outwards : outwards.reverse()).map((op) => [op]);
}

const setMtu = ({ netns, name, mtu }: LinkResource): Op => ({ op: 'setLink', netns, name, mtu });

/** Also where the far end was handed over, and may have any name. */
export const setFarMtu = ({ netns, name, peer }: Veth): Op => ({
  ...{ op: 'setPeer', netns, name, mtu: peer.mtu, peer: peer.goesTo ?? peer.netns },
});
