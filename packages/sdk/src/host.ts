import {
  type Applied,
  type Change,
  type Clock,
  consequences,
  type Datapath,
  desiredFirewall,
  type Firewall,
  type FirewallRules,
  type HostStore,
  type Op,
  partsOf,
  resize,
  resizedNetworks,
  type State,
  type Touched,
  touched,
  transition,
  withLeftover,
} from '@weave/core';
import { type Decisions, decisions, type Others } from './decisions.ts';
import { withEchoes } from './echoes.ts';
import { kernelError } from './kernel-error.ts';
import { inBackground, type Log } from './log.ts';
import { createReconciler, type Filter, type Reconciler } from './reconcile.ts';
import { eventOf, orphans, touchesFirewall } from './touches.ts';
import type { WeaveEvent } from './weave.ts';

/** An engine has put an interface where it wants it by then. */
const MOVED_MS = 1000;

/** What a verb works on. */
export interface Host extends Decisions {
  readonly state: State;
  readonly datapath: Datapath;
  readonly clock: Clock;
  readonly log: Log;
  /** What the packet filter still has from before the records were lost: while they are rebuilt it stays. */
  readonly leftover: FirewallRules | undefined;
  /** Makes changes durable, then true. From here on a crash anywhere is mended by {@link Reconciler.pass}. */
  commit(changes: readonly Change[]): void;
  /**
   * Commits, and makes the kernel follow. Other hosts' endpoints need not be named. When the kernel refuses, the changes
   * are taken back and the error is thrown.
   */
  carryOut(change: Carry): Promise<void>;
  /** Commits what other hosts did, and makes the kernel follow; what that refuses is left to the next pass. */
  follow(change: Carry): Promise<void>;
  /** Absent: it is alone. */
  others?: Others | undefined;
  /** Whether what is heard of a link of the switch may be what a verb just did. */
  isEcho(link: string): boolean;
  /** Tells who follows what happens. */
  emit(event: WeaveEvent): void;
  /** Makes the kernel so again. */
  readonly reconciler: Reconciler;
  /** The records are complete from now on: what has none is a leftover, and goes with the next full pass. */
  trustRecords(): void;
  /** From when it returns nothing is repaired any more, and no packet filter set. */
  end(): Promise<void>;
  /** Runs after all that was queued under the same key: verbs on one thing do not overlap. */
  inTurn<T>(key: string, work: () => Promise<T>): Promise<T>;
}

/** What the changes are about beside their {@link consequences}, to be planned before and after them. */
export interface Carry extends Touched {
  changes: readonly Change[];
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
  const { apply, isEcho } = withEchoes(datapath);
  let { trusted } = parts;
  let ended = false;

  function commit(changes: readonly Change[]): void {
    store.append(changes);
    const events = changes.flatMap((change) => eventOf(state, change));
    state.apply(changes);
    reconciler.note(changes);
    host.others?.note(changes);
    for (const event of events) emit(event);
  }

  /** Commits, and makes the kernel follow: what it refused, and how it is to be as it was. */
  async function enact(carry: Carry) {
    const also = consequences(state, carry.changes);
    const before = touched(state, carry, also);
    const resized = resizedNetworks(state, carry.changes);
    const old = partsOf(state, resized);
    const wasFiltered = touchesFirewall(state, carry, also);
    commit(carry.changes);
    const after = touched(state, carry, also);
    const made = partsOf(state, resized);
    const isFiltered = wasFiltered || touchesFirewall(state, carry, also);
    const sizes = resize(old, made);
    const answers = await apply([...sizes, [...transition(before, after), ...(carry.announce ?? [])]]);
    mendSizes(answers.slice(0, sizes.length));
    if (resized.length > 0) await reconciler.catchUp();
    const unapply = () => apply([...resize(made, old), transition(after, touched(state, carry, also))]);
    return { failed: answers.at(-1)?.failed, isFiltered, unapply };
  }

  async function carryOut(carry: Carry): Promise<void> {
    const undo = state.inverse(carry.changes);
    const { failed, isFiltered, unapply } = await enact(carry);
    try {
      if (failed && failed.op !== 'announce') throw kernelError(failed);
      if (isFiltered) await filter();
    } catch (error) {
      commit([...orphans(state, undo), ...undo]);
      await unapply();
      throw error;
    }
  }

  async function follow(carry: Carry): Promise<void> {
    const { failed, isFiltered } = await enact(carry);
    if (failed) log('warn', 'what another host did could not be followed', { ...failed });
    if (isFiltered) await inBackground(log, 'the packet filter could not be set', filter);
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
  const reconciler = createReconciler({
    ...{ state, datapath, filters, log, commit },
    isTrusted: () => trusted,
    inTurn: (work, otherwise) => inTurn('repairs', async () => (ended ? otherwise : work())),
  });

  async function end(): Promise<void> {
    ended = true;
    for (const key of ['repairs', 'firewall']) await inTurn(key, async () => undefined);
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

  const host: Host = {
    ...decisions(() => host.others, inTurn),
    ...{ state, datapath, clock, log, leftover, reconciler, isEcho },
    ...{ commit, carryOut, follow, trustRecords, inTurn, emit, end },
  };
  return host;
}
