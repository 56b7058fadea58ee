import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isWeaveError } from '@weave/core';
import { createMembership, type Membership, type MembershipOptions } from './membership.ts';
import type { Admission } from './messages.ts';
import { makeAuthority } from './pki.ts';
import type { ClusterRecord, PendingRecord } from './record.ts';

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
  /** Whether the cluster's store answered when it was last asked. */
  readonly answered: boolean;
  /** A cluster that begins here. */
  begin(): void;
  /** Lets this host into another cluster, unless it is of one with others. */
  join(admission: Admission, from: string): void;
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
  const over = new AbortController();
  let wake = new AbortController();
  let current = record.current && createMembership(record.current, options);
  let pendingSince = performance.now();
  let unanswered = 0;
  let answered = false;
  let leaving = false;

  async function drop(): Promise<void> {
    const { cluster } = current!;
    await current!.end();
    current = undefined;
    record.current = undefined;
    shelf.save();
    shelf.forget(cluster.id);
  }

  function giveUp(pending: ClusterRecord, why: string): void {
    log('info', 'did not join a cluster', { cluster: pending.id, why });
    record.pending = undefined;
    shelf.save();
    shelf.forget(pending.id);
  }

  /** Towards the cluster that this host was let into. */
  async function move(pending: PendingRecord): Promise<void> {
    if (current && !(await current.closeAlone())) {
      current.cluster.settled = true;
      return giveUp(pending, 'another host has joined this one by now');
    }
    const next = createMembership(pending, options);
    try {
      const answer = await next.register();
      if (answer === 'registered') return await arrive(pending, next);
      if (answer !== 'not yet') giveUp(pending, `it is ${answer}`);
    } finally {
      if (current !== next) await next.end();
    }
  }

  async function arrive(pending: PendingRecord, next: Membership): Promise<void> {
    const before = current;
    record.current = pending;
    record.pending = undefined;
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
      const done = await current.step(leaving);
      unanswered = 0;
      answered = true;
      if (done === 'closed' || done === 'left') await drop();
      return done === 'idle' ? tickMs : SOON_MS;
    } catch (error) {
      return noAnswer(error, pending);
    }
  }

  function noAnswer(error: unknown, pending: ClusterRecord | undefined): number {
    if (!isWeaveError(error)) log('warn', 'the cluster’s store', { error: String(error) });
    if (pending && performance.now() - pendingSince > PENDING_MS) giveUp(pending, 'it does not answer');
    unanswered += 1;
    answered = false;
    if (unanswered % OUT_OF_SIGHT === 0) options.lostSight();
    return Math.min(SOON_MS * unanswered, tickMs, 1000);
  }

  async function live(): Promise<void> {
    while (!over.signal.aborted) {
      wake = new AbortController();
      const pause = await step();
      options.changed();
      const signal = AbortSignal.any([over.signal, wake.signal]);
      await delay(pause * (0.75 + Math.random() / 2), undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
  const living = live();

  return {
    get current() {
      return current;
    },
    get answered() {
      return answered;
    },
    begin() {
      const id = randomBytes(16).toString('hex');
      shelf.putAuthority(id, makeAuthority(id));
      record.current = {
        ...{ id, endpoints: [...place.urls.client], hosts: {}, etcd: 'first' },
        ...{ founding: true, begun: true, settled: false, secured: Boolean(password) },
      };
      shelf.save();
      log('info', 'a cluster begins here', { cluster: id });
      current = createMembership(record.current, options);
      wake.abort();
    },
    join({ id, secured, ca, endpoints, hosts }, from) {
      if (record.pending || current?.cluster.settled) return;
      shelf.putAuthority(id, ca);
      record.pending = { id, endpoints, hosts, settled: true, secured, from };
      shelf.save();
      pendingSince = performance.now();
      wake.abort();
    },
    doubt() {
      pendingSince = Number.NEGATIVE_INFINITY;
    },
    async leave(patienceMs) {
      leaving = true;
      wake.abort();
      const until = performance.now() + patienceMs;
      while (current && performance.now() < until) await delay(50);
      const told = !current;
      if (current) await drop();
      leaving = false;
      return told;
    },
    wake: () => wake.abort(),
    async close() {
      over.abort();
      // Whatever waits for an answer gets none any more.
      await current?.end();
      await living;
    },
  };
}
