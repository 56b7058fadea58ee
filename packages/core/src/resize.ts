import { desiredEndpoint, desiredNetwork } from './desired.ts';
import type { Op } from './kernel.ts';
import type { Change } from './model.ts';
import { identity, isLink, type LinkResource, type Veth } from './resource.ts';
import type { State } from './state.ts';

/** Networks that have another MTU once these changes are true. */
export const resizedNetworks = (state: State, changes: readonly Change[]): string[] =>
  changes.flatMap((change) => {
    if (change.table !== 'network' || !change.record) return [];
    return (state.networks.get(change.id)?.mtu ?? change.record.mtu) === change.record.mtu ? [] : [change.id];
  });

/** Every link of these networks on this host. */
export const linksOf = (state: State, networks: readonly string[]): LinkResource[] =>
  networks
    .flatMap((id) => [
      desiredNetwork(state, state.networks.get(id)!),
      ...state.endpointsOf(id).map((endpoint) => desiredEndpoint(state, endpoint)),
    ])
    .flatMap(({ resources }) => resources.filter(isLink));

/**
 * What gives links that stay another MTU, in an order that lets no frame meet a link too small for it: where they shrink,
 * first what is inside, so that nothing larger is sent any more; where they grow, that comes last. Each stands alone: a
 * sandbox that is just going keeps the others from nothing.
 */
export function resize(before: readonly LinkResource[], after: readonly LinkResource[]): Op[][] {
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
