import { fail, hashId, isWeaveError, keys } from '@weave/core';
import { inBackground } from '../log.ts';
import { syncCells } from './blocks.ts';
import type { Claims } from './claims.ts';
import { type Context, commitAsMember } from './context.ts';
import type { Definitions } from './definitions.ts';
import { giveUp } from './give-up.ts';
import { beginCluster, clusterThere, joinCluster, register } from './join.ts';
import type { Members } from './members.ts';
import type { Publisher } from './publish.ts';
import { answerWishes } from './wishes.ts';

const RETRY_MS = 2000;

interface Parts {
  claims: Claims;
  definitions: Definitions;
  members: Members;
  publisher: Publisher;
}

/** Keeps a host in step with its directory: joins, and after each gap makes both agree again. */
export function createSession(context: Context, { claims, definitions, members, publisher }: Parts) {
  const { host, directory, timers } = context;
  const { state, log } = host;
  const ends: (() => void)[] = [];
  let since = timers.now();
  let problem: string | undefined;
  let stepping: Promise<void> | undefined;
  let again = false;
  let following = false;
  let closed = false;
  let cancelRetry: (() => void) | undefined;

  /** The same from wherever it begins: a gap of any length, and whatever a step that failed had done. */
  async function agree(): Promise<void> {
    const id = await clusterThere(context);
    if (state.cluster) await comeBack(id, state.cluster);
    else await join(id);
    if (!following) follow();
    await beAlive();
    await claims.resync();
    await publisher.resync();
  }

  async function join(id: string | undefined): Promise<void> {
    const cluster = id ?? (await beginCluster(context, hashId('cluster', state.self).slice(0, 16)));
    await joinCluster(context, cluster, claims);
    log('info', 'joined a cluster', { cluster });
  }

  async function comeBack(id: string | undefined, ours: string): Promise<void> {
    if (id === undefined)
      fail('WEAVE_DIRECTORY_LOST', `the directory is empty: it is not the one of cluster ${ours}, or it was lost`);
    if (id !== ours)
      fail('WEAVE_JOIN_REFUSED', `this host belongs to cluster ${ours}, and the directory to cluster ${id}`);
    await register(context);
    const { entries } = await directory.list(keys.guard);
    if (entries.length === 0) await definitions.publishAll();
    const lost = await syncCells(context);
    if (lost.length > 0) await giveUp(context, lost);
  }

  function follow(): void {
    following = true;
    ends.push(definitions.follow(), answerWishes(context));
    members.follow(() => {
      // A lease that expired while we were away took the key along.
      if (context.reachable && context.fence > 0 && !members.alive.has(state.self))
        void inBackground(log, 'this host could not say that it is alive', beAlive);
    });
  }

  /** Leased: it goes when this process is not heard of any more. */
  const beAlive = () => commitAsMember(context, [], [{ key: keys.alive(state.self), value: '{}', leased: true }]);

  async function step(): Promise<void> {
    again = true;
    cancelRetry?.();
    stepping ??= run().finally(() => {
      stepping = undefined;
      if (again && context.reachable) void step();
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
  };

  function disagreed(error: unknown): void {
    const said = isWeaveError(error) ? `${error.message}. ${error.hint}` : String(error);
    if (said !== problem) log('warn', 'not in step with the cluster', { error: said });
    problem = said;
    if (!closed) cancelRetry = timers.after(RETRY_MS, () => void step());
  }

  ends.push(
    directory.onReach((reachable) => {
      if (reachable !== context.reachable) since = timers.now();
      context.reachable = reachable;
      if (reachable) void step();
    }),
  );

  return {
    step,
    status: () => ({ since, ...(problem ? { problem } : {}) }),
    async end(): Promise<void> {
      closed = true;
      cancelRetry?.();
      for (const end of ends) end();
      await stepping;
    },
  };
}
