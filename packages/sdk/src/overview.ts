import type { Overview, Weave } from './weave.ts';

export async function overviewOf({ status, cluster }: Pick<Weave, 'status' | 'cluster'>): Promise<Overview> {
  const [own, peers, pools, targets, connections] = await Promise.all([
    status(),
    cluster.peers(),
    cluster.pools(),
    cluster.targets(),
    cluster.connections(),
  ]);
  return { status: own, peers, pools, targets, connections };
}
