import { CellNeeded, type Change, type Directory, fail, isDefinition, type Peer } from '@weave/core';
import type { Host } from '../host.ts';
import { inBackground } from '../log.ts';
import type { ClusterStatus } from '../weave.ts';
import { acquire } from './blocks.ts';
import { createClaims } from './claims.ts';
import { type Context, commitAsMember } from './context.ts';
import { createDefinitions } from './definitions.ts';
import { beginCluster, recordTold } from './join.ts';
import { leaveCluster } from './leave.ts';
import { createMembers } from './members.ts';
import { createNames } from './names.ts';
import { syncOwned } from './owned.ts';
import { createPrefetch } from './prefetch.ts';
import { createPublisher } from './publish.ts';
import { isRebuilding } from './recall.ts';
import { reclaim } from './reclaim.ts';
import { createSession } from './session.ts';
import { realTimers, type Timers } from './timers.ts';

/** How long a directory that does not answer is waited for by who needs it. */
const JOIN_MS = 30_000;
const LOOK_MS = 100;

/** A host among others: what it shares by a directory. */
export interface Cluster {
  readonly context: Context;
  readonly alive: ReadonlySet<string>;
  /** Whether a host is alive, as far as is known. */
  isHeard(peer: string): boolean;
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
  /** Returns once this host has joined; rejects with what is in the way. */
  joined(): Promise<void>;
  /** Begins anew in a directory that was lost, for the whole cluster. */
  rebuild(): Promise<void>;
  /** Changes what this host tells of itself. */
  tell(self: Partial<Pick<Peer, 'underlay' | 'mtu' | 'name'>>): Promise<void>;
  /** With `leave` this host belongs to the cluster no more, and what it held is free. */
  close(options?: { leave?: boolean }): Promise<void>;
}

export interface ClusterOptions {
  /** Whether this host may begin a cluster in an empty directory; by default it may. */
  founds?: boolean;
  timers?: Timers;
  /** How long a host has to be silent before the others take it for gone. */
  reclaimAfterMs?: number;
}

const DAY_MS = 86_400_000;

export function createCluster(host: Host, directory: Directory, options: ClusterOptions = {}): Cluster {
  const { timers = realTimers, reclaimAfterMs = DAY_MS, founds = true } = options;
  const { state } = host;
  const context: Context = {
    ...{
      host,
      directory,
      timers,
      fence: 0,
      reachable: false,
      settlesAt: 0,
      told: 0,
      alive: new Set(),
      asking: new Map(),
    },
    recalled: { endpoints: new Map(), leases: new Map() },
    listens: false,
    disagrees: () => void session.step(),
    missed: () => session.missed(),
  };
  const definitions = createDefinitions(context);
  const claims = createClaims(context, definitions);
  const members = createMembers(context);
  const publisher = createPublisher(context);
  const names = createNames(context);
  const session = createSession({ founds, context, claims, definitions, members, publisher, names });
  const prefetch = createPrefetch(context);
  const endReclaim = reclaim(context, reclaimAfterMs);
  let closed = false;

  async function define(changes: readonly Change[]): Promise<boolean> {
    // Whoever removes a network should not be in its own way.
    if (changes.some((c) => c.table === 'network' && c.record === null)) await publisher.settled();
    return definitions.define(changes);
  }

  return {
    context,
    alive: context.alive,
    isHeard: (peer) => !context.listens || context.alive.has(peer),
    status: () => ({
      ...(state.cluster ? { id: state.cluster } : {}),
      reachable: context.reachable,
      ...session.status(),
    }),
    allow({ changes }) {
      if (!state.cluster) return true;
      const unclaimed = claims.needed(changes);
      if (unclaimed.length > 0) return claims.take(unclaimed).then(() => false);
      return changes.some(isDefinition) ? define(changes) : true;
    },
    async provide(error) {
      if (!(error instanceof CellNeeded)) return false;
      await host.inTurn(`acquire ${error.pool}`, () => acquire(context, error));
      return true;
    },
    note(changes) {
      publisher.note(changes);
      members.note(changes);
      claims.note(changes);
      names.note(changes);
      const isHeard = changes.some(({ table, id }) => table === 'peer' && id === state.self) && !isRebuilding(state);
      if (isHeard && context.recalled.endpoints.size > 0) context.disagrees();
      if (!state.cluster) return;
      prefetch.note(changes);
      if (context.fence === 0) return;
      for (const { id } of changes.filter(({ table, record }) => table === 'pool' && record === null))
        void inBackground(host.log, 'the cells of a pool could not be given back', () =>
          host.inTurn(`cells ${id}`, () => syncOwned(context, id)),
        );
    },
    settled: () => publisher.settled(),
    async joined() {
      for (let waited = 0; !context.reachable && !closed && waited < JOIN_MS; waited += LOOK_MS)
        await new Promise<void>((over) => timers.after(LOOK_MS, over));
      await session.step();
      const { problem } = session.status();
      if (!state.cluster || problem) fail('WEAVE_DIRECTORY_UNREACHABLE', problem ?? 'the directory does not answer');
    },
    async rebuild() {
      if (!state.cluster) fail('WEAVE_NOT_CLUSTERED', 'this host belongs to no cluster');
      await beginCluster(context, state.cluster, 'anew');
      await session.step();
    },
    async tell(changed) {
      const self = { ...state.peers.get(state.self)!, ...changed };
      await host.follow({
        changes: [{ table: 'peer', id: self.id, record: self }],
        networks: [...state.networks.keys()],
      });
      const writes = context.fence > 0 ? await recordTold(context) : [];
      if (writes.length > 0) await commitAsMember(context, [], writes);
    },
    async close({ leave = false } = {}) {
      closed = true;
      endReclaim();
      prefetch.end();
      await session.end();
      members.end();
      publisher.end();
      names.end();
      if (leave) await leaveCluster(context);
      await directory.close({ endLease: leave });
    },
  };
}
