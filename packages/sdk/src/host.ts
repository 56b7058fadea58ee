import {
  type Applied,
  type Change,
  type Clock,
  type Datapath,
  desiredEndpoint,
  desiredFirewall,
  desiredNetwork,
  type Failure,
  type Firewall,
  type FirewallRules,
  type HostStore,
  hasGateway,
  isFileLimit,
  linksOf,
  type Network,
  type Op,
  resize,
  resizedNetworks,
  type State,
  transition,
  WeaveError,
  withLeftover,
} from '@weave/core';
import { inBackground, type Log } from './log.ts';
import { createReconciler, type Filter, type Reconciler } from './reconcile.ts';
import type { WeaveEvent } from './weave.ts';

/** An engine has put an interface where it wants it by then. */
const MOVED_MS = 1000;

/** What a verb works on. */
export interface Host {
  readonly state: State;
  readonly datapath: Datapath;
  readonly clock: Clock;
  readonly log: Log;
  /** What the packet filter still has from before the records were lost: while they are rebuilt it stays. */
  readonly leftover: FirewallRules | undefined;
  /** Makes changes durable, then true. From here on a crash anywhere is mended by {@link Reconciler.pass}. */
  commit(changes: readonly Change[]): void;
  /**
   * Commits, and makes the kernel follow; `resources` are what the verb touches, before and after. When the kernel
   * refuses, the changes are taken back and the error is thrown.
   */
  carryOut(change: Carry): Promise<void>;
  /** Makes the kernel so again. */
  readonly reconciler: Reconciler;
  /** The records are complete from now on: what has none is a leftover, and goes with the next full pass. */
  trustRecords(): void;
  /** From when it returns nothing is repaired any more, and no packet filter set. */
  end(): Promise<void>;
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
  switchFilter: Filter;
  clock: Clock;
  log: Log;
  emit(event: WeaveEvent): void;
  /** False while the records are being rebuilt: what has none may be somebody's only connection. */
  trusted: boolean;
  leftover?: FirewallRules | undefined;
}

export function createHost(parts: Parts): Host {
  const { state, store, datapath, firewall, switchFilter, clock, log, emit, leftover } = parts;
  const turns = new Map<string, Promise<unknown>>();
  let { trusted } = parts;
  let ended = false;

  function commit(changes: readonly Change[]): void {
    store.append(changes);
    const events = changes.flatMap((change) => eventOf(state, change));
    state.apply(changes);
    reconciler.note(changes);
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
    const resized = resizedNetworks(state, carry.changes);
    const old = linksOf(state, resized);
    const filtered = touchesFirewall(state, carry);
    commit(carry.changes);
    const after = resources(carry);
    const made = linksOf(state, resized);
    const sizes = resize(old, made);
    const answers = await datapath.apply([...sizes, [...transition(before, after), ...(carry.announce ?? [])]]);
    const applied = answers.at(-1);
    mendSizes(answers.slice(0, sizes.length));
    try {
      if (applied?.failed && applied.failed.op !== 'announce') throw kernelError(applied.failed);
      if (filtered || touchesFirewall(state, carry)) await filter();
    } catch (error) {
      commit([...orphans(state, undo), ...undo]);
      await datapath.apply([...resize(made, old), transition(after, resources(carry))]);
      throw error;
    }
  }

  /** A container that just goes does not decide a verb; one that an engine was just moving is not left with the old MTU. */
  function mendSizes(applied: readonly Applied[]): void {
    const links = applied.flatMap(({ failed }) => failed?.link ?? []);
    const mend = () => void inBackground(log, 'an MTU could not be set', () => reconciler.mend(links));
    if (links.length > 0) setTimeout(mend, MOVED_MS).unref();
  }

  /** In turn: of two tables the later one has to be the one that stays. */
  const filter = () =>
    inTurn('firewall', async () => {
      if (!ended) await firewall.set(withLeftover(desiredFirewall(state), trusted ? undefined : leftover));
      return undefined;
    });

  const filters = { host: { set: filter, isAsSet: () => inTurn('firewall', firewall.isAsSet) }, switch: switchFilter };
  const reconciler = createReconciler({ state, datapath, filters, log, commit, isTrusted: () => trusted });

  async function end(): Promise<void> {
    ended = true;
    await reconciler.end();
    await inTurn('firewall', async () => undefined);
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

  function trustRecords(): void {
    if (trusted) return;
    const { rebuilding: _, ...self } = state.peers.get(state.self)!;
    commit([{ table: 'peer', id: self.id, record: self }]);
    trusted = true;
  }

  return { state, datapath, clock, log, leftover, commit, carryOut, reconciler, trustRecords, inTurn, end };
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
  if (isFileLimit(failure)) return new WeaveError('WEAVE_TOO_MANY_FILES', what, { cause: failure });
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
