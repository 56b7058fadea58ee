import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import {
  type Change,
  type Datapath,
  domainOf,
  type HostStore,
  isSame,
  type Peer,
  SELF,
  type Self,
  State,
  SWITCH,
} from '@weave/core';

/** What is stored, of this host, or of a new one; `remembered`: which one it was, where that is known. */
export function loadState(store: HostStore, remembered?: string): State {
  const records = store.load();
  const known = records.find((c) => c.table === 'self')?.record as Self | undefined;
  // Before there were others, the only peer was this host.
  const first = records.find((c) => c.table === 'peer')?.id;
  const self = known?.peer ?? first ?? remembered ?? randomBytes(16).toString('hex');
  const state = new State(self);
  state.apply(records);
  return state;
}

/** This host, of which nothing is stored: it is new, or its store was lost, and then the kernel still has something. */
export async function newPeer(id: string, datapath: Datapath): Promise<Peer> {
  const [inSwitch] = await datapath.observe([{ netns: SWITCH }]);
  const isNew = inSwitch?.links.every(({ name }) => name === 'lo');
  return { id, name: hostname(), ...(isNew ? {} : { rebuilding: true }) };
}

/** Which host this is, and what its containers are called, where that is news. */
export function identified(state: State, wanted: string | undefined): Change[] {
  const { domain: _, ...before } = state.selves.get(SELF) ?? { peer: state.self };
  const record: Self = { ...before, ...(wanted === undefined ? {} : { domain: domainOf(wanted) }) };
  return isSame(state.selves.get(SELF), record) ? [] : [{ table: 'self', id: SELF, record }];
}
