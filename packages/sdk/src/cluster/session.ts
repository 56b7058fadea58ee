import { type Arrival, fail, isWeaveError, keys, SELF } from '@weave/core';

import { syncCells } from './cells.ts';
import type { Claims } from './claims.ts';
import { type Context, unreachable } from './context.ts';
import type { Definitions } from './definitions.ts';
import { belong, clusterThere, joinCluster, register, shareDefinitions, type There } from './join.ts';
import type { Members } from './members.ts';
import type { Names } from './names.ts';
import { expectCells } from './owned.ts';
import type { Publisher } from './publish.ts';
import { recall } from './recall.ts';
import { answerWishes, withdrawWishes } from './wishes.ts';

const RETRY_MS = 2000;
/** How often it is looked whether those who are of a cluster have brought in what they have. */
const FOUNDING_MS = 100;
/** By then every host that can has told a directory made anew what is its own. */
const SETTLE_MS = 5000;

interface Parts {
  founds: boolean;
  context: Context;
  claims: Claims;
  definitions: Definitions;
  members: Members;
  publisher: Publisher;
  names: Names;
}

/** Keeps a host in step with its directory: joins, and after each gap makes both agree again. */
export function createSession({ founds, context, claims, definitions, members, publisher, names }: Parts) {
  const { host, directory, timers } = context;
  const { state, log } = host;
  let ends: (() => void)[] = [];
  let since = timers.now();
  let problem: string | undefined;
  let stepping: Promise<void> | undefined;
  let again = false;
  /** What is followed has to be followed anew. */
  let stale = true;
  let closed = false;
  let cancelRetry: (() => void) | undefined;

  /** The same from wherever it begins: a gap of any length, and whatever a step that failed had done. */
  async function agree(): Promise<void> {
    if (stale) context.told = 0;
    const there = await clusterThere(context);
    if (state.cluster) await comeBack(there, state.cluster);
    else await join(there);
    if (timers.now() >= context.settlesAt) {
      if (there?.settling === state.self) await directory.commit({ writes: [{ key: keys.settling, value: null }] });
      if (stale) follow();
    }
    await recall(context);
    await claims.resync();
    await publisher.resync();
    await names.resync();
  }

  async function join(there: There | undefined): Promise<void> {
    let found = there;
    const mustWait = () => (found ? found.settling !== undefined : !founds);
    while (mustWait() && context.reachable && !closed) {
      await new Promise<void>((over) => timers.after(FOUNDING_MS, over));
      found = await clusterThere(context);
    }
    if (mustWait()) throw unreachable('the hosts of the cluster have not brought in what they have');
    const { id } = await joinCluster(context, found, claims);
    log('info', 'joined a cluster', { cluster: id });
    // What was its own before its records were lost, also where nothing uses it.
    for (const pool of state.pools.keys()) expectCells(context, pool);
    await syncCells(context);
  }

  async function comeBack(there: There | undefined, ours: string): Promise<void> {
    if (there === undefined)
      fail('WEAVE_DIRECTORY_LOST', `the directory is empty: it is not the one of cluster ${ours}, or it was lost`);
    if (there.id !== ours)
      fail('WEAVE_JOIN_REFUSED', `this host belongs to cluster ${ours}, and the directory to cluster ${there.id}`);
    const isAnew = there.incarnation !== state.selves.get(SELF)?.incarnation;
    // Or a session of this host before this one has begun to wait.
    if (isAnew || (there.settling !== undefined && context.settlesAt === 0)) settle();
    await register(context);
    // Otherwise what was missed is told.
    if (isAnew || definitions.unsure) await share(isAnew ? 'anew' : 'again');
    await withdrawWishes(context);
    await syncCells(context);
    if (isAnew) belong(context, there);
  }

  async function share(arrival: Arrival): Promise<void> {
    definitions.unsure = false;
    try {
      await shareDefinitions(context, arrival);
    } catch (error) {
      definitions.unsure = true;
      throw error;
    }
  }

  /** Until others have told theirs too, what is known of them stands, and nothing is taken that may be theirs. */
  function settle(): void {
    stale = true;
    context.settlesAt = timers.now() + SETTLE_MS;
    timers.after(SETTLE_MS, () => void step());
  }

  function follow(): void {
    stale = false;
    for (const end of ends) end();
    ends = [definitions.follow(), answerWishes(context)];
    members.follow();
    names.follow();
  }

  async function step(): Promise<void> {
    again = true;
    cancelRetry?.();
    stepping ??= run().finally(() => {
      stepping = undefined;
      if (again && context.reachable && !closed) void step();
    });
    await stepping;
  }

  async function run(): Promise<void> {
    while (again && context.reachable && !closed) {
      again = false;
      await agree().then(agreed, disagreed);
    }
  }

  const agreed = () => {
    problem = undefined;
    if (stale && timers.now() >= context.settlesAt) again = true;
  };

  function disagreed(error: unknown): void {
    const said = isWeaveError(error) ? `${error.message}. ${error.hint}` : String(error);
    if (said !== problem) log('warn', 'not in step with the cluster', { error: said });
    problem = said;
    again = false;
    if (!closed) cancelRetry = timers.after(RETRY_MS, () => void step());
  }

  const endReach = directory.onReach((reachable) => {
    if (reachable !== context.reachable) since = timers.now();
    context.reachable = reachable;
    if (reachable) void step();
    else context.fence = 0;
  });

  return {
    step,
    missed(): void {
      stale = true;
      if (!stepping) void step();
    },
    status: () => ({ since, ...(problem ? { problem } : {}) }),
    async end(): Promise<void> {
      closed = true;
      cancelRetry?.();
      for (const end of [...ends, endReach]) end();
      await stepping;
    },
  };
}
