import {
  type Batch,
  type Change,
  caughtUp,
  type Datapath,
  deleteEndpoint,
  desired,
  type Failure,
  goneHandovers,
  leaveEndpoint,
  outgrown,
  plan,
  queries,
  STRAYS,
  type State,
  SWITCH,
  type Unit,
  unitOf,
  unitsAt,
} from '@weave/core';
import type { Log } from './log.ts';

type Where = 'host' | 'switch';

/** A packet filter of ours. */
export interface Filter {
  /** May answer why it could not. */
  set(): Promise<string | undefined>;
  /** Whether what was set last is still so. */
  isAsSet(): Promise<boolean>;
}

interface Parts {
  state: State;
  datapath: Datapath;
  filters: Record<Where, Filter>;
  log: Log;
  commit(changes: readonly Change[]): void;
  /** Whether what has no record is a leftover. */
  isTrusted(): boolean;
  /** One repair after the other; once the host has ended there is none, and the answer is `otherwise`. */
  inTurn<T>(work: () => Promise<T>, otherwise: T): Promise<T>;
}

export interface Reconciler {
  /** A full pass: observes everything of ours, compares, repairs. Answers what could not be repaired. */
  pass(): Promise<Failure[]>;
  /** The same for what some links of the switch are about, only. */
  mend(links: readonly string[]): Promise<void>;
  /** What engines set up before a subnet grew is as large as that; what fails, as it is just moved, is left to a pass. */
  catchUp(): Promise<void>;
  /** Sets a packet filter again if somebody changed it. */
  mendFilter(where: Where): Promise<void>;
  /** What a full pass would repair, and why. */
  differences(): Promise<string[]>;
  /** Records were changed: what was seen of them before is old. */
  note(changes: readonly Change[]): void;
  /** How many repairs there were since the start, by operation. */
  readonly repairs: Readonly<Record<string, number>>;
}

/** Among units, `host filter` and `switch filter`. */
const FILTER = ' filter';

/** Whether a unit is of an endpoint that is gone and could not be forgotten, and why not. */
interface Forgotten {
  isLeft(unit: string): boolean;
  error?: unknown;
}

export function createReconciler(parts: Parts): Reconciler {
  const { state, datapath, filters, log, commit, isTrusted, inTurn } = parts;
  const repairs: Record<string, number> = {};
  // By unit, why: left to full passes until then, or it would be tried and heard and tried again.
  const failing = new Map<string, string>();
  const watching = new Set<Set<string>>();
  /** The first pass makes what a boot took away: nothing of that is a repair. */
  let passed = false;

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

  /** What was observed, and which units verbs changed meanwhile: of those it says nothing any more. */
  async function observed(units: readonly Unit[], isFull?: boolean) {
    const changed = new Set<string>();
    watching.add(changed);
    try {
      return { seen: await datapath.observe(queries(units, isFull)), changed };
    } finally {
      watching.delete(changed);
    }
  }

  async function repair(batches: readonly Batch[], isNew = false): Promise<Failure[]> {
    const applied = await datapath.apply(batches.map((batch) => batch.ops));
    for (const [index, { key, ops, why }] of batches.entries()) {
      const { done, failed } = applied[index]!;
      if (!isNew) for (const { op } of ops.slice(0, done)) count(op);
      if (!failed) log(isNew ? 'debug' : 'info', isNew ? 'made' : 'repaired', { unit: key, why });
      tell(key, failed?.message, { why, failed });
    }
    return applied.flatMap(({ failed }) => failed ?? []);
  }

  const count = (op: string) => {
    repairs[op] = (repairs[op] ?? 0) + 1;
  };

  /** Once for each reason. */
  function tell(key: string, failure: string | undefined, fields: Record<string, unknown>): void {
    if (failure === undefined) failing.delete(key);
    else if (failing.get(key) !== failure) {
      log('error', 'cannot be repaired', { unit: key, ...fields });
      failing.set(key, failure);
    }
  }

  async function mendFilter(where: Where): Promise<void> {
    if (await filters[where].isAsSet()) return;
    const refused = await filters[where].set();
    tell(where + FILTER, refused || undefined, { refused });
    if (refused) return;
    count('setFilter');
    log('info', 'repaired', { unit: where + FILTER, why: [changedFilter(where)] });
  }

  const changedFilter = (where: Where) => `the packet filter or the routing of the ${where} was changed`;

  async function catchUp(): Promise<void> {
    const due = outgrown(state);
    if (due.length === 0) return;
    const applied = await datapath.apply(due.map(({ op }) => [op]));
    for (const [index, each] of due.entries()) if (!applied[index]!.failed) commit(caughtUp(state, each));
  }

  async function pass(): Promise<Failure[]> {
    const { isLeft, error } = forgetGoneSandboxes(state.endpoints.keys());
    const wanted = desired(state);
    const { seen, changed } = await observed(wanted);
    const isNew = !passed && seen.every(({ netns, links }) => netns !== SWITCH || links.every(isLoopback));
    passed = true;
    // No await between planning and applying: what verbs do from now on comes after this in the datapath's queue.
    const batches = plan(changed.size > 0 ? desired(state) : wanted, seen).filter(
      ({ key }) => !isLeft(key) && !changed.has(key) && (isTrusted() || key !== STRAYS),
    );
    const broken = new Set(batches.map(({ key }) => key));
    for (const key of failing.keys()) if (!broken.has(key) && !key.endsWith(FILTER)) failing.delete(key);
    const failures = await repair(batches, isNew);
    await allOf([catchUp, () => mendFilter('switch'), () => mendFilter('host'), filters.host.set]);
    if (error) throw error;
    return failures;
  }

  async function mend(links: readonly string[]): Promise<void> {
    const { isLeft, error } = forgetGoneSandboxes(links.flatMap((link) => state.endpointOfPort(link) ?? []));
    const units = unitsAt(state, links);
    if (units.length > 0) {
      const { seen, changed } = await observed(units, false);
      const isOpen = (key: string) => key !== STRAYS && !failing.has(key) && !isLeft(key) && !changed.has(key);
      await repair(plan(unitsAt(state, links), seen).filter(({ key }) => isOpen(key)));
    }
    if (error) throw error;
  }

  return {
    repairs,
    pass: () => inTurn(pass, []),
    catchUp,
    mend: (links) => inTurn(() => mend(links), undefined),
    mendFilter: (where) => inTurn(() => mendFilter(where), undefined),
    async differences() {
      const { seen, changed } = await observed(desired(state));
      const all = desired(state);
      const units = all.filter(({ key }) => !changed.has(key));
      const broken = [];
      for (const where of ['host', 'switch'] as const)
        if (!(await filters[where].isAsSet())) broken.push(changedFilter(where));
      const repairable = plan(all, seen).filter(({ key }) => !changed.has(key));
      return [...repairable.flatMap(({ why }) => why), ...goneHandovers(units, seen), ...broken];
    },
    note(changes) {
      for (const { table, id } of changes)
        for (const changed of watching) changed.add(`${table}/${id}`).add(`entries/${id}`);
    },
  };
}

const isLoopback = ({ name }: { name: string }) => name === 'lo';

/** Each, whatever becomes of the others; throws the first error then. */
async function allOf(works: readonly (() => Promise<unknown>)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const work of works) await work().catch((error: unknown) => errors.push(error));
  if (errors.length > 0) throw errors[0];
}
