import type { Cluster } from './cluster/cluster.ts';
import type { Others } from './decisions.ts';
import type { Host } from './host.ts';
import type { Sharing } from './sharing.ts';

/** Those that this host shares networks with. Alone it has neither. */
export interface Company {
  /** The way to them. */
  sharing?: Sharing | undefined;
  /** What is shared, once there is a directory. */
  cluster?: Cluster | undefined;
}

/** What a host asks of its company, whatever that is at the time. */
export const othersOf = ({ state }: Host, company: Company): Others => ({
  note(changes) {
    company.cluster?.note(changes);
    company.sharing?.note(changes);
  },
  joining: () => (!state.cluster && company.sharing?.isJoining() ? company.sharing.joined() : undefined),
  allow: (decision) => company.cluster?.allow(decision) ?? true,
  provide: async (error) => company.cluster?.provide(error) ?? false,
});

export async function leave(company: Company, forGood: boolean): Promise<void> {
  const { sharing, cluster } = company;
  if (sharing) await sharing.close({ leave: forGood });
  else await cluster?.close({ leave: forGood });
  company.sharing = undefined;
  company.cluster = undefined;
}
