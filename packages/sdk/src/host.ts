import {
  asWeaveError,
  type Change,
  type Clock,
  type Datapath,
  deleteEndpoint,
  desired,
  desiredEndpoint,
  desiredFirewall,
  desiredNetwork,
  type Failure,
  type Firewall,
  type HostStore,
  hasGateway,
  leaveEndpoint,
  type Network,
  type Op,
  plan,
  queries,
  STRAYS,
  type State,
  transition,
  WeaveError,
} from '@weave/core';
import type { WeaveEvent } from './weave.ts';

export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, unknown>,
) => void;

/** What a verb works on. */
export interface Host {
  readonly state: State;
  readonly datapath: Datapath;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes changes durable, then true. From here on a crash anywhere is mended by {@link Host.reconcile}. */
  commit(changes: readonly Change[]): void;
  /**
   * Commits, and makes the kernel follow; `resources` are what the verb touches, before and after. When the kernel
   * refuses, the changes are taken back and the error is thrown.
   */
  carryOut(change: Carry): Promise<void>;
  /** A full pass: observes everything of ours, compares, repairs. Answers what could not be repaired. */
  reconcile(): Promise<Failure[]>;
  /** The records are complete from now on: what has none is a leftover, and goes with the next full pass. */
  trustRecords(): void;
  /** Runs after all that was queued under the same key: verbs on one thing do not overlap. */
  inTurn<T>(key: string, work: () => Promise<T>): Promise<T>;
}

export interface Carry {
  changes: readonly Change[];
  /** What the changes are about, to be planned before and after them. */
  networks?: readonly string[];
  endpoints?: readonly string[];
  /** Endpoints whose ports change and nothing else: asked for again, an interface that an engine moved would be made anew. */
  published?: readonly string[];
  /** Told to the network afterwards; whether it arrives does not decide the verb. */
  announce?: readonly Op[];
}

export interface Parts {
  state: State;
  store: HostStore;
  datapath: Datapath;
  firewall: Firewall;
  clock: Clock;
  log: Log;
  emit(event: WeaveEvent): void;
  /** False while the records are being rebuilt: what has none may be somebody's only connection. */
  trusted: boolean;
}

export function createHost(parts: Parts): Host {
  const { state, store, datapath, firewall, clock, log, emit } = parts;
  const turns = new Map<string, Promise<unknown>>();
  let { trusted } = parts;

  function commit(changes: readonly Change[]): void {
    store.append(changes);
    const events = changes.flatMap((change) => eventOf(state, change));
    state.apply(changes);
    for (const event of events) emit(event);
  }

  const resources = ({ networks = [], endpoints = [] }: Carry) => [
    ...networks.flatMap((id) =>
      state.networks.has(id) ? desiredNetwork(state, state.networks.get(id)!).resources : [],
    ),
    ...endpoints.flatMap((id) =>
      state.endpoints.has(id) ? desiredEndpoint(state, state.endpoints.get(id)!).resources : [],
    ),
  ];

  async function carryOut(carry: Carry): Promise<void> {
    const before = resources(carry);
    const undo = state.inverse(carry.changes);
    const filtered = touchesFirewall(state, carry);
    commit(carry.changes);
    const after = resources(carry);
    const [applied] = await datapath.apply([[...transition(before, after), ...(carry.announce ?? [])]]);
    try {
      if (applied?.failed && applied.failed.op !== 'announce') throw kernelError(applied.failed);
      if (filtered || touchesFirewall(state, carry)) await filter();
    } catch (error) {
      commit([...orphans(state, undo), ...undo]);
      await datapath.apply([transition(after, resources(carry))]);
      throw error;
    }
  }

  /** In turn: of two tables the later one has to be the one that stays. */
  const filter = () => inTurn('firewall', () => firewall.set(desiredFirewall(state)));

  /** A namespace's path may lead elsewhere by now: a process id is used again, a file is replaced. */
  function forgetGoneSandboxes(): void {
    const gone = [...state.endpoints.values()].filter(
      ({ sandbox }) => sandbox?.kind === 'netns' && datapath.netnsId(sandbox.path) !== sandbox.id,
    );
    // A container may start again and get its addresses back; a bare namespace that is gone is gone.
    commit(gone.flatMap((e) => (e.container ? leaveEndpoint(state, e.id) : deleteEndpoint(state, e.id))));
  }

  async function reconcile(): Promise<Failure[]> {
    forgetGoneSandboxes();
    const observed = await datapath.observe(queries(desired(state)));
    // No await between planning and applying: what verbs do from now on comes after this in the datapath's queue.
    const batches = plan(desired(state), observed).filter(({ key }) => trusted || key !== STRAYS);
    const applied = await datapath.apply(batches.map((batch) => batch.ops));
    for (const [index, { key, ops }] of batches.entries())
      log(applied[index]?.failed ? 'error' : 'info', 'repaired', {
        unit: key,
        ops: ops.map((op) => op.op),
        failed: applied[index]?.failed,
      });
    await filter();
    return applied.flatMap(({ failed }) => failed ?? []);
  }

  async function inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = (turns.get(key) ?? Promise.resolve()).catch(() => undefined).then(work);
    turns.set(key, turn);
    try {
      return await turn;
    } finally {
      if (turns.get(key) === turn) turns.delete(key);
    }
  }

  const trustRecords = () => {
    trusted = true;
  };

  return { state, datapath, clock, log, commit, carryOut, reconcile, trustRecords, inTurn };
}

/** Whether what a verb touches has Weave for its gateway: only then is the packet filter concerned. */
function touchesFirewall(state: State, { networks = [], endpoints = [], published = [] }: Carry): boolean {
  const ports = [...endpoints, ...published].map((id) => state.endpoints.get(id)).filter((e) => e?.ports?.length);
  const touched: (Network | undefined)[] = [...networks, ...ports.map((e) => e!.network)].map((id) =>
    state.networks.get(id),
  );
  return touched.some((network) => network && hasGateway(network));
}

/** Endpoints that came to a network meanwhile that is now taken back: the kernel refuses them as it refused the network. */
const orphans = (state: State, undo: readonly Change[]): Change[] =>
  undo
    .filter((change) => change.table === 'network' && change.record === null)
    .flatMap(({ id }) => state.endpointsOf(id))
    .map(({ id }) => ({ table: 'endpoint', id, record: null }));

function eventOf(state: State, { table, id, record }: Change): WeaveEvent[] {
  if (table !== 'network' && table !== 'endpoint') return [];
  const existed = table === 'network' ? state.networks.has(id) : state.endpoints.has(id);
  return [{ type: table, id, action: record === null ? 'removed' : existed ? 'changed' : 'created' }];
}

/** The kernel's errno as an error of ours: the one place where they meet. */
export function kernelError(failure: Failure): WeaveError {
  const { code, op, link, netns, message } = failure;
  const what = `${op}${link ? ` ${link}` : ''}${netns ? ` in ${netns}` : ''}: ${message} (${code})`;
  if (code === 'EPERM' || code === 'EACCES') return new WeaveError('WEAVE_PERMISSION_DENIED', what, { cause: failure });
  if (code === 'ENOENT' && netns?.startsWith('/'))
    return new WeaveError('WEAVE_NETNS_NOT_FOUND', `${netns} is gone`, { cause: failure });
  if (code === 'EEXIST' && op === 'addVeth')
    return new WeaveError('WEAVE_LINK_EXISTS', `there is an interface ${link} already${netns ? ` in ${netns}` : ''}`, {
      cause: failure,
    });
  if (code === 'EOPNOTSUPP') return new WeaveError('WEAVE_KERNEL_UNSUPPORTED', what, { cause: failure });
  return new WeaveError('WEAVE_KERNEL', what, { cause: failure });
}

/** Runs `work`, logging instead of throwing: for what nobody waits for. */
export async function inBackground(log: Log, what: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    log('warn', what, { error: asWeaveError(error).toJSON() });
  }
}
