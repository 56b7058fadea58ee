import type { Connection, ConnectTarget, Link, NameEntry, PeerStatus, PoolUse, Status, Weave } from '@weave/sdk/client';
import { linksOf } from '@weave/sdk/client';

/** What status and report are made of. */
export interface View {
  status: Status;
  peers: PeerStatus[];
  pools: PoolUse[];
  targets: ConnectTarget[];
  connections: Connection[];
  links: Link[];
  names: NameEntry[];
}

export async function viewOf({ status, cluster, names }: Weave): Promise<View> {
  const [of, peers, pools, targets, connections, named] = await Promise.all([
    status(),
    cluster.peers(),
    cluster.pools(),
    cluster.targets(),
    cluster.connections(),
    names.list(),
  ]);
  return { status: of, peers, pools, targets, connections, links: linksOf(peers, connections, targets), names: named };
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
