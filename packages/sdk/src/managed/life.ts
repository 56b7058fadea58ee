import { setTimeout as delay } from 'node:timers/promises';
import { fail, isWeaveError, type WeaveError } from '@weave/core';
import { loop } from './loop.ts';
import { approach, createMembership, type Membership, type MembershipOptions } from './membership.ts';
import type { Admission, News } from './messages.ts';
import { type ClusterRecord, epochAfter, FIRST, newCluster, type PendingRecord } from './record.ts';

export interface LifeOptions extends MembershipOptions {
  readonly password?: string | undefined;
  /** Between two looks at a cluster where nothing happens. */
  readonly tickMs: number;
  /** The cluster, or where it answers, may have changed. */
  changed(): void;
  /** No endpoint has answered for a while. */
  lostSight(): void;
}

/** A host that was let in and gets no answer from there is free again after so long. */
const PENDING_MS = 30_000;
const SOON_MS = 300;
const OUT_OF_SIGHT = 3;

/**
 * A host's way into a cluster, through it and out of it: one step at a time, and what is begun is written down before.
 * The rest is synchronous, so that it happens between two steps or while one waits, and only sees and sets the record.
 */
export interface Life {
  readonly current: Membership | undefined;
  /** Why this host is not yet, or did not come to be, of the cluster that another let it into. */
  readonly hindrance: { readonly from: string; readonly error: WeaveError } | undefined;
  /** Whether the cluster's store answered when it was last asked. */
  readonly answered: boolean;
  /** A cluster that begins here. */
  begin(): void;
  /** Lets this host into another cluster, unless it is of one with others. */
  join(admission: Admission, from: string): void;
  /** What another host of the cluster knows of it. */
  learn(news: News): void;
  /** Begins the cluster's store anew on this host, empty, where nothing is left that answers. */
  rebuild(): Promise<void>;
  /** The host that let this one in has left that cluster, which ends with it. */
  doubt(): void;
  /** Leaves the cluster; false where it could not be told in time. */
  leave(patienceMs: number): Promise<boolean>;
  /** A step now. */
  wake(): void;
  close(): Promise<void>;
}

export function createLife(options: LifeOptions): Life {
  const { shelf, place, log, password, tickMs } = options;
  const { record } = shelf;
  let current = record.current && createMembership(record.current, options);
  let pendingSince = performance.now();
  let hindrance: Life['hindrance'];
  /** Steps since the store has answered; it has not yet. */
  let unanswered = 1;
  let leaving = false;
  /** The store was begun anew, elsewhere. */
  let renewed: News | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  /** What sets up a membership anew, one at a time. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = turn.then(work);
    turn = next.catch(() => undefined);
    return next;
  }

  async function drop({ cluster, end }: Membership): Promise<void> {
    await end();
    current = record.current = renewed = undefined;
    shelf.save();
    shelf.forget(cluster.id);
  }

  /** The same cluster with another store: what this host has of the old one goes. */
  async function renew(how: Partial<ClusterRecord>): Promise<void> {
    const { cluster } = current!;
    await current!.end();
    shelf.forgetStore(cluster.id);
    Object.assign(cluster, { etcd: undefined, founding: false, begun: false, untold: undefined }, how);
    log('warn', 'the cluster’s store was begun anew', { cluster: cluster.id, epoch: cluster.epoch });
    try {
      shelf.save();
    } finally {
      // The one before has ended, also where this one is not written down.
      current = createMembership(cluster, options);
    }
  }

  async function rebuild(): Promise<void> {
    if (!current) fail('WEAVE_NOT_CLUSTERED', 'this host is of no cluster');
    await current.mustBeLost();
    if (renewed)
      fail('WEAVE_INVALID_REQUEST', 'another host has just begun the cluster’s store anew', {
        hint: 'Nothing is lost.',
      });
    const { [place.peer]: _, ...untold } = current.cluster.hosts;
    const epoch = epochAfter(current.cluster.epoch);
    await renew({ epoch, untold, founding: true, begun: true, etcd: FIRST, endpoints: [...place.urls.client] });
    living.wake();
  }

  function giveUp(pending: ClusterRecord, why: string): void {
    log('info', 'did not join a cluster', { cluster: pending.id, why });
    record.pending = undefined;
    try {
      shelf.save();
      shelf.forget(pending.id);
    } catch (error) {
      // With the next start it tries again.
      log('error', 'that could not be written down', { error: String(error) });
    }
  }

  /** Towards the cluster that this host was let into. */
  async function move(pending: PendingRecord): Promise<void> {
    const came = await approach(pending, current, options);
    hindrance = undefined;
    if (typeof came === 'object') return arrive(pending, came);
    if (came !== 'not yet') giveUp(pending, came);
  }

  async function arrive(pending: PendingRecord, next: Membership): Promise<void> {
    const before = current;
    record.current = pending;
    record.pending = renewed = undefined;
    shelf.save();
    current = next;
    log('info', 'joined a cluster', { cluster: pending.id });
    await before?.end();
    if (before) shelf.forget(before.cluster.id);
  }

  /** How long to wait for the next one. */
  async function step(): Promise<number> {
    const { pending } = record;
    try {
      if (pending) {
        await move(pending);
        return SOON_MS;
      }
      if (!current) return tickMs;
      if (renewed && renewed.epoch > current.cluster.epoch) {
        await renew(renewed);
        return 0;
      }
      renewed = undefined;
      const done = await current.step(leaving);
      unanswered = 0;
      if (done === 'closed' || done === 'left') await drop(current);
      return done === 'idle' ? tickMs : SOON_MS;
    } catch (error) {
      return noAnswer(error, pending);
    }
  }

  function noAnswer(error: unknown, pending: PendingRecord | undefined): number {
    if (!isWeaveError(error)) log('warn', 'the cluster’s store', { error: String(error) });
    else if (pending) hindrance = { from: pending.from, error };
    if (pending && performance.now() - pendingSince > PENDING_MS) giveUp(pending, 'it does not answer');
    unanswered += 1;
    if (unanswered % OUT_OF_SIGHT === 0) options.lostSight();
    return Math.min(SOON_MS * unanswered, tickMs, 1000);
  }

  const living = loop(async () => {
    const pause = await inTurn(step);
    options.changed();
    return pause;
  });

  return {
    get current() {
      return current;
    },
    get hindrance() {
      return hindrance;
    },
    get answered() {
      return unanswered === 0;
    },
    begin() {
      const cluster = newCluster(shelf, place.urls.client, Boolean(password));
      log('info', 'a cluster begins here', { cluster: cluster.id });
      current = createMembership(cluster, options);
      living.wake();
    },
    join({ id, secured, ca, endpoints, hosts, epoch }, from) {
      if (record.pending || current?.cluster.settled) return;
      shelf.putAuthority(id, ca);
      record.pending = { id, endpoints, hosts, settled: true, secured, epoch, from };
      shelf.save();
      pendingSince = performance.now();
      living.wake();
    },
    learn(news) {
      if (!current || news.endpoints.length === 0) return;
      if (news.epoch > current.cluster.epoch) renewed = renewed && renewed.epoch > news.epoch ? renewed : news;
      else if (unanswered > 0) current.learn(news);
      living.wake();
    },
    rebuild: () => inTurn(rebuild),
    doubt() {
      pendingSince = Number.NEGATIVE_INFINITY;
    },
    async leave(patienceMs) {
      leaving = true;
      living.wake();
      const until = performance.now() + patienceMs;
      while (current && performance.now() < until) await delay(50);
      const told = !current;
      if (current) await drop(current);
      leaving = false;
      return told;
    },
    wake: living.wake,
    async close() {
      living.end();
      // Whatever waits for an answer gets none any more.
      await current?.end();
      await living.ended;
    },
  };
}
