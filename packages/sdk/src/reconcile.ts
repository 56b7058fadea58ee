import {
  type Batch,
  type Change,
  type Datapath,
  deleteEndpoint,
  desired,
  type Failure,
  goneHandovers,
  leaveEndpoint,
  type Observed,
  plan,
  queries,
  STRAYS,
  type State,
  type Unit,
  unitOf,
  unitsAt,
} from '@weave/core';
import type { Log } from './log.ts';

/** A packet filter of ours. */
export interface Filter {
  set(): Promise<unknown>;
  /** Whether what was set last is still so. */
  isAsSet(): Promise<boolean>;
}

interface Parts {
  state: State;
  datapath: Datapath;
  filters: Record<'host' | 'switch', Filter>;
  log: Log;
  commit(changes: readonly Change[]): void;
  /** Whether what has no record is a leftover. */
  isTrusted(): boolean;
}

export interface Reconciler {
  /** A full pass: observes everything of ours, compares, repairs. Answers what could not be repaired. */
  pass(): Promise<Failure[]>;
  /** The same for what some links of the switch are about, only. */
  mend(links: readonly string[]): Promise<void>;
  /** Sets a packet filter again if somebody changed it. */
  mendFilter(where: 'host' | 'switch'): Promise<void>;
  /** What a full pass would repair, and why. */
  differences(): Promise<string[]>;
  /** How many repairs there were since the start, by operation. */
  readonly repairs: Readonly<Record<string, number>>;
}

/** Whether a unit is of an endpoint that is gone and could not be forgotten, and why not. */
interface Forgotten {
  isLeft(unit: string): boolean;
  error?: unknown;
}

export function createReconciler({ state, datapath, filters, log, commit, isTrusted }: Parts): Reconciler {
  const repairs: Record<string, number> = {};
  // By unit, why: left to full passes until then, or it would be tried and heard and tried again.
  const failing = new Map<string, string>();

  /** A namespace's path may lead elsewhere by now: a process id is used again, a file is replaced. */
  function forgetGoneSandboxes(ids: Iterable<string>): Forgotten {
    const gone = [...ids]
      .flatMap((id) => state.endpoints.get(id) ?? [])
      .filter(({ sandbox }) => sandbox?.kind === 'netns' && datapath.netnsId(sandbox.path) !== sandbox.id);
    // A container may start again and get its addresses back; a bare namespace that is gone is gone.
    const changes = gone.flatMap((e) => (e.container ? leaveEndpoint(state, e.id) : deleteEndpoint(state, e.id)));
    try {
      commit(changes);
      return { isLeft: () => false };
    } catch (error) {
      // Whoever is there now shall not get what is another's; the rest can be mended all the same.
      const units = new Set(gone.map(unitOf));
      return { isLeft: (unit) => units.has(unit), error };
    }
  }

  const planned = (units: readonly Unit[], seen: readonly Observed[]) =>
    plan(units, seen).filter(({ key }) => isTrusted() || key !== STRAYS);

  async function repair(batches: readonly Batch[]): Promise<Failure[]> {
    const applied = await datapath.apply(batches.map((batch) => batch.ops));
    for (const [index, { key, ops, why }] of batches.entries()) {
      const { done, failed } = applied[index]!;
      for (const { op } of ops.slice(0, done)) repairs[op] = (repairs[op] ?? 0) + 1;
      if (!failed) log('info', 'repaired', { unit: key, why });
      else if (failing.get(key) !== failed.message) log('error', 'cannot be repaired', { unit: key, why, failed });
      if (failed) failing.set(key, failed.message);
      else failing.delete(key);
    }
    return applied.flatMap(({ failed }) => failed ?? []);
  }

  async function mendFilter(where: 'host' | 'switch'): Promise<void> {
    if (await filters[where].isAsSet()) return;
    await filters[where].set();
    repairs.setFilter = (repairs.setFilter ?? 0) + 1;
    log('info', 'repaired', { unit: 'packet filter', why: [`the table of the ${where} was changed`] });
  }

  return {
    repairs,
    mendFilter,
    async pass() {
      const { isLeft, error } = forgetGoneSandboxes(state.endpoints.keys());
      const seen = await datapath.observe(queries(desired(state)));
      // No await between planning and applying: what verbs do from now on comes after this in the datapath's queue.
      const batches = planned(desired(state), seen).filter(({ key }) => !isLeft(key));
      for (const key of failing.keys()) if (!batches.some((batch) => batch.key === key)) failing.delete(key);
      const failures = await repair(batches);
      await mendFilter('switch');
      await mendFilter('host');
      await filters.host.set();
      if (error) throw error;
      return failures;
    },
    async mend(links) {
      const { isLeft, error } = forgetGoneSandboxes(links.flatMap((link) => state.endpointOfPort(link) ?? []));
      const units = unitsAt(state, links);
      if (units.length > 0) {
        const seen = await datapath.observe(queries(units, false));
        await repair(planned(unitsAt(state, links), seen).filter(({ key }) => !failing.has(key) && !isLeft(key)));
      }
      if (error) throw error;
    },
    async differences() {
      const seen = await datapath.observe(queries(desired(state)));
      const broken = [];
      for (const where of ['host', 'switch'] as const)
        if (!(await filters[where].isAsSet())) broken.push(`the packet filter of the ${where} was changed`);
      const units = desired(state);
      return [...planned(units, seen).flatMap(({ why }) => why), ...goneHandovers(units, seen), ...broken];
    },
  };
}
