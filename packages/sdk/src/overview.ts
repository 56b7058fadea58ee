import type { Overview, Weave } from './weave.ts';

export async function overviewOf({
  status,
  cluster,
  names,
}: Pick<Weave, 'status' | 'cluster' | 'names'>): Promise<Overview> {
  const [own, peers, pools, targets, connections, known] = await Promise.all([
    status(),
    cluster.peers(),
    cluster.pools(),
    cluster.targets(),
    cluster.connections(),
    names.list(),
  ]);
  return { status: own, peers, pools, targets, connections, names: known };
}
