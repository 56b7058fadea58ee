import type { Link, Overview, PoolUse, Weave } from '@weave/sdk/client';
import { linksOf } from '@weave/sdk/client';

/** What status and report are made of. */
export interface View extends Overview {
  links: Link[];
}

export async function viewOf(weave: Weave): Promise<View> {
  const overview = await weave.overview();
  return { ...overview, links: linksOf(overview.peers, overview.connections, overview.targets) };
}

/** As 2.8 writes a host: its name is what the id is here, and its nickname our name. */
export const hostText = ({ id, name }: { id: string; name: string }): string => `${id}(${name})`;

/** Which of all pools 2.8 speaks of: the default network's, of IPv4. */
export const mainPool = ({ pools }: Pick<View, 'pools'>): PoolUse | undefined =>
  pools.find(({ network, cidr }) => network === 'weave' && !cidr.includes(':'));

/** 2.8's words for how addresses are had, as far as they mean something here. */
export function ipamState({ peers, status, pools }: View): string {
  const { holdings = [] } = mainPool({ pools }) ?? {};
  if (holdings.some(({ peer }) => peer === status.peer.id)) return 'ready';
  const alive = new Set(peers.filter((peer) => peer.alive).map(({ id }) => id));
  if (holdings.length > 0 && holdings.every(({ peer }) => !alive.has(peer)))
    return "all IP ranges owned by unreachable peers - use 'rmpeer' if they are dead";
  return 'idle';
}
