import {
  CellNeeded,
  type Change,
  type Directory,
  fail,
  hashId,
  isDefinition,
  isWeaveError,
  keys,
  LEASE_SECONDS,
  type Peer,
} from '@weave/core';
import type { Host } from '../host.ts';
import { inBackground } from '../log.ts';
import { acquire, syncCells } from './blocks.ts';
import { createClaims } from './claims.ts';
import { type Context, commitAsMember } from './context.ts';
import { createDefinitions } from './definitions.ts';
import { giveUp } from './give-up.ts';
import { beginCluster, clusterThere, joinCluster, register } from './join.ts';
import { createMembers } from './members.ts';
import { createPublisher } from './publish.ts';
import { realTimers, type Timers } from './timers.ts';
import { answerWishes } from './wishes.ts';

const RETRY_MS = 2000;

export interface ClusterStatus {
  /** Absent before this host has joined. */
  id?: string;
  reachable: boolean;
  /** Since when that is so, in milliseconds of the clock of {@link Timers}. */
  since: number;
  /** Why it has not joined, or is not in step. */
  problem?: string;
}

/** A host among others: what it shares by a directory. */
export interface Cluster {
  readonly context: Context;
  readonly alive: ReadonlySet<string>;
  status(): ClusterStatus;
  /**
   * Makes true what a decision needs of the other hosts; false: it has to be taken anew. True at once where it needs
   * nothing of them.
   */
  allow(decision: { changes: readonly Change[] }): boolean | Promise<boolean>;
  /** Whether the verb that was thrown this may be tried again: what it needs is there now. */
  provide(error: unknown): Promise<boolean>;
  note(changes: readonly Change[]): void;
  /** Returns when what was done until now is known to the directory. */
  settled(): Promise<void>;
  /** Begins anew in a directory that was lost, for the whole cluster. */
  rebuild(): Promise<void>;
  /** Changes what this host tells of itself. */
  tell(self: Partial<Pick<Peer, 'underlay' | 'mtu' | 'name'>>): Promise<void>;
  close(options?: { endLease?: boolean }): Promise<void>;
}

export function createCluster(host: Host, directory: Directory, timers: Timers = realTimers): Cluster {
  const { state, log } = host;
  const context: Context = { host, directory, timers, fence: 0, reachable: false, onFenced: () => kick() };
  const claims = createClaims(context);
  const definitions = createDefinitions(context);
  const members = createMembers(context);
  const publisher = createPublisher(context);
  const ends: (() => void)[] = [];
  let since = timers.now();
  let problem: string | undefined;
  let stepping: Promise<void> | undefined;
  let again = false;
  let following = false;
  let closed = false;
  let cancelRetry: (() => void) | undefined;

  /** Everything of a session, from wherever it is: done again after each gap, and when it fails. */
  async function step(): Promise<void> {
    const id = await clusterThere(context);
    if (id === undefined && state.cluster)
      fail(
        'WEAVE_DIRECTORY_LOST',
        `the directory is empty: it is not the one of cluster ${state.cluster}, or it was lost`,
      );
    if (id !== undefined && state.cluster && id !== state.cluster)
      fail('WEAVE_JOIN_REFUSED', `this host belongs to cluster ${state.cluster}, and the directory to cluster ${id}`);
    if (!state.cluster) {
      const cluster = id ?? (await beginCluster(context, hashId('cluster', state.self).slice(0, 16)));
      await joinCluster(context, cluster, claims);
      log('info', 'joined a cluster', { cluster });
    } else {
      await register(context);
      const { entries } = await directory.list(keys.guard);
      if (entries.length === 0) await definitions.publishAll();
      const lost = await syncCells(context);
      if (lost.length > 0) await giveUp(context, lost);
    }
    if (!following) begin();
    await beAlive();
    await claims.resync();
    await publisher.resync();
  }

  function begin(): void {
    following = true;
    ends.push(definitions.follow(), answerWishes(context));
    members.follow(() => {
      // A lease that expired while we were away took the key along.
      if (context.reachable && context.fence > 0 && !members.alive.has(state.self))
        void inBackground(log, 'not alive', beAlive);
    });
  }

  /** Leased: it goes when this process is not heard of any more. */
  const beAlive = () => commitAsMember(context, [], [{ key: keys.alive(state.self), value: '{}', leased: true }]);

  function kick(): void {
    again = true;
    if (closed || !context.reachable) return;
    cancelRetry?.();
    stepping ??= run().finally(() => {
      stepping = undefined;
    });
  }

  async function run(): Promise<void> {
    while (again && context.reachable && !closed) {
      again = false;
      try {
        await step();
        problem = undefined;
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (message !== problem) log('warn', 'the cluster could not be joined', { error: message });
        problem = isWeaveError(error) ? `${error.message}. ${error.hint}` : message;
        if (!closed) cancelRetry = timers.after(RETRY_MS, kick);
      }
    }
  }

  async function define(changes: readonly Change[]): Promise<boolean> {
    // Whoever removes a network should not be in its own way.
    if (changes.some((c) => c.table === 'network' && c.record === null)) await publisher.settled();
    return definitions.define(changes);
  }

  ends.push(
    directory.onReach((reachable) => {
      if (reachable !== context.reachable) since = timers.now();
      context.reachable = reachable;
      if (reachable) kick();
    }),
  );

  return {
    context,
    alive: members.alive,
    status: () => ({
      ...(state.cluster ? { id: state.cluster } : {}),
      reachable: context.reachable,
      since,
      ...(problem ? { problem } : {}),
    }),
    allow({ changes }) {
      if (!state.cluster) return true;
      const unclaimed = claims.needed(changes);
      if (unclaimed.length > 0) return claims.take(unclaimed).then(() => false);
      return changes.some(isDefinition) ? define(changes) : true;
    },
    async provide(error) {
      if (!(error instanceof CellNeeded)) return false;
      await host.inTurn(`cells ${error.pool}`, () => acquire(context, error));
      return true;
    },
    note(changes) {
      publisher.note(changes);
      if (following) members.note(changes);
      claims.note(changes);
    },
    settled: () => publisher.settled(),
    async rebuild() {
      if (!state.cluster) fail('WEAVE_NOT_CLUSTERED', 'this host belongs to no cluster');
      await beginCluster(context, state.cluster);
      kick();
      await stepping;
    },
    async tell(changed) {
      const self = { ...state.peers.get(state.self)!, ...changed };
      host.follow({ changes: [{ table: 'peer', id: self.id, record: self }], networks: [...state.networks.keys()] });
      if (context.fence > 0) await register(context);
    },
    async close(options) {
      closed = true;
      cancelRetry?.();
      for (const end of ends) end();
      members.end();
      publisher.end();
      await stepping;
      await directory.close(options);
    },
  };
}

/** A host that has not been heard of for so long is not there. */
export const SILENCE_MS = LEASE_SECONDS * 1000;
