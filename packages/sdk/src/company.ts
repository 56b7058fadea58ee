import { isDefinition, type State, unpooled } from '@weave/core';
import type { Cluster } from './cluster/cluster.ts';
import { unreachable } from './cluster/context.ts';
import type { Decision, Others } from './decisions.ts';
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
  allow: (decision) => (company.cluster ? company.cluster.allow(decision) : needsNobody(state, decision)),
  provide: async (error) => company.cluster?.provide(error) ?? false,
});

/** Those who share networks with this host cannot be asked: only what is its own can be decided. */
function needsNobody(state: State, { changes }: Decision): true {
  const isNew = (c: Decision['changes'][number]) =>
    c.table === 'endpoint' &&
    c.record?.peer === state.self &&
    unpooled(state, c.record).some((text) => !unpooled(state, state.endpoints.get(c.id) ?? NONE).includes(text));
  if (state.cluster && changes.some((change) => isDefinition(change) || isNew(change)))
    throw unreachable('the other hosts of the cluster cannot be asked: its store is not to be had here');
  return true;
}

const NONE = { network: '', addresses: [] };

export async function leave(company: Company, forGood: boolean): Promise<void> {
  const { sharing, cluster } = company;
  if (sharing) await sharing.close({ leave: forGood });
  else await cluster?.close({ leave: forGood });
  company.sharing = undefined;
  company.cluster = undefined;
}
