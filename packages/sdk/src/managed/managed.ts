import { setTimeout as delay } from 'node:timers/promises';
import { fail, WeaveError } from '@weave/core';
import { inBackground } from '../log.ts';
import { meet, parseTarget, serveControl } from './control.ts';
import type { Credentials } from './etcd-api.ts';
import { createLife } from './life.ts';
import { type ManagedOptions, settle } from './options.ts';
import { createParty } from './party.ts';
import { openShelf } from './record.ts';
import { createTargets, type Target, type TargetsOptions } from './targets.ts';
import { createTeller } from './teller.ts';

/** The etcd that the hosts of a cluster run themselves. */
export interface ManagedStore {
  readonly clusterId: string;
  /** `host:port` of each voter. */
  readonly endpoints: readonly string[];
  readonly tls: Credentials;
  /** It was begun here. */
  readonly begun: boolean;
}

export interface ManagedStatus {
  readonly cluster?: string;
  /** Of the cluster, as last seen. */
  readonly hosts: readonly { readonly peer: string; readonly name: string; readonly control: readonly string[] }[];
  readonly voters: readonly string[];
  /** Of the etcd that runs here. */
  readonly etcd?: number;
  readonly removed: boolean;
  readonly targets: readonly Target[];
  readonly notices: readonly string[];
}

export interface Managed {
  /** Undefined while this host is alone. */
  readonly store: ManagedStore | undefined;
  /** Tells when it is another, or elsewhere; until it is ended. */
  onChange(tell: (store: ManagedStore | undefined) => void): () => void;
  /**
   * Joins the first of these that answers, or lets them join; goes on trying where none does. Rejects, and changes
   * nothing, where all refuse: WEAVE_JOIN_DENIED, WEAVE_OTHER_CLUSTER, WEAVE_OTHER_VERSION, WEAVE_ETCD_MISSING.
   */
  connect(peers: readonly string[], options?: { replace?: boolean }): Promise<readonly Target[]>;
  /** Connects to these no more; what is joined stays joined. */
  forget(peers: readonly string[]): void;
  /** Another host of the cluster is of it no more. */
  remove(peer: string): Promise<void>;
  /**
   * Begins the cluster's store anew on this host, empty, where nothing is left that answers: the others find it, and all
   * carry in what they know. WEAVE_INVALID_REQUEST while it answers, WEAVE_ETCD_MISSING.
   */
  rebuild(): Promise<void>;
  /** This host is of no cluster any more; false where the others could not be told. */
  leave(): Promise<boolean>;
  status(): ManagedStatus;
  /** What others are served with from here ends too; the others go on. */
  close(): Promise<void>;
}

const JOINING_MS = 15_000;
const LEAVING_MS = 30_000;

export async function managedStore(options: ManagedOptions): Promise<Managed> {
  const { peer, bind, password, log } = options;
  const shelf = openShelf(options.stateDir);
  shelf.record.peer = peer.id;
  const settled = settle(options, shelf);
  const { host, port } = settled;
  const listeners = new Set<(store: ManagedStore | undefined) => void>();
  let told = '';
  const life = createLife({
    ...settled,
    changed() {
      if (life.answered) void teller.tell();
      const now = storeNow();
      if (JSON.stringify(now ?? '') === told) return;
      told = JSON.stringify(now ?? '');
      for (const tell of listeners) tell(now);
    },
    lostSight: () => void inBackground(log, 'looking for the cluster’s store', lookAround),
  });
  const teller = createTeller({
    shelf,
    self: peer.id,
    control: host.control,
    meet: (place) => meet(party, place, port),
  });
  const party = createParty({
    peer,
    able: host.able,
    busy: options.busy ?? (() => false),
    password,
    shelf,
    life,
    heard: () => targets.heard,
  });
  const targets = createTargets({ meet: meetTarget, isLone: () => !shelf.record.current, log });

  function storeNow(): ManagedStore | undefined {
    if (!life.current || life.current.cluster.removed) return undefined;
    const { cluster, credentials } = life.current;
    const endpoints = cluster.endpoints.map((url) => url.replace('https://', ''));
    return { clusterId: cluster.id, endpoints, tls: credentials, begun: cluster.begun ?? false };
  }

  async function meetTarget(address: string): ReturnType<TargetsOptions['meet']> {
    const { decision, theirs } = await meet(party, address, port);
    if (decision === 'refuse')
      throw new WeaveError('WEAVE_OTHER_CLUSTER', `${address} is of another cluster, ${theirs.cluster}`);
    if (decision === 'unable') fail('WEAVE_ETCD_MISSING', `etcd is neither on this host nor on ${address}`);
    const { hindrance } = life;
    return { decision, problem: hindrance?.from === theirs.peer ? hindrance.error : undefined };
  }

  /** Any host of the cluster knows where its store answers by now. */
  async function lookAround(): Promise<void> {
    const known = Object.entries(life.current?.cluster.hosts ?? {}).filter(([id]) => id !== peer.id);
    const [, places = []] = known[Math.floor(Math.random() * known.length)] ?? [];
    for (const place of places) if ((await meet(party, place, port)).decision === 'together') return;
  }

  const closeControl = await serveControl(party, { identity: shelf.self(peer.id), port, bind, log }).catch(
    async (error) => {
      await life.close();
      throw error;
    },
  );
  const aim = (wanted: readonly string[]) => {
    shelf.record.targets = [...new Set(wanted)];
    shelf.save();
    for (const { address } of targets.list()) if (!wanted.includes(address)) targets.remove(address);
    for (const address of shelf.record.targets) targets.add(address);
  };
  aim([...shelf.record.targets, ...(options.targets ?? [])]);

  return {
    get store() {
      return storeNow();
    },
    onChange(tell) {
      listeners.add(tell);
      return () => listeners.delete(tell);
    },
    async connect(peers, { replace = false } = {}) {
      for (const each of peers) parseTarget(each, port);
      const before = shelf.record.targets;
      if (life.current?.cluster.removed) {
        await life.leave(LEAVING_MS);
        // They were found to be of the cluster that this host was of.
        for (const { address } of targets.list()) targets.remove(address);
      }
      aim([...(replace ? [] : before), ...peers]);
      targets.again();
      await targets.firstAnswers();
      const mine = () => targets.list().filter(({ address }) => peers.includes(address));
      const refused = mine().filter(({ state }) => state === 'refused');
      if (refused.length > 0 && refused.length === mine().length) {
        aim(before);
        throw refused[0]!.error;
      }
      const until = performance.now() + JOINING_MS;
      const isWaiting = () => shelf.record.pending || mine().some(({ state }) => state === 'waiting');
      while (isWaiting() && performance.now() < until) await delay(50);
      return mine();
    },
    forget: (peers) => aim(shelf.record.targets.filter((address) => !peers.includes(address))),
    async remove(id) {
      await (life.current ?? fail('WEAVE_NOT_CLUSTERED', 'this host is of no cluster')).remove(id);
      life.wake();
    },
    rebuild: life.rebuild,
    async leave() {
      aim([]);
      return life.leave(LEAVING_MS);
    },
    status() {
      const { cluster, seen, etcdPid, lost } = life.current ?? {};
      const open = cluster && !cluster.secured && !password;
      const notices = [
        ...(open ? ['no password is set: whoever reaches the control port is let into the cluster'] : []),
        ...(cluster?.removed
          ? ['another host removed this one from its cluster: it is alone. To be of it again: weave connect HOST']
          : []),
        ...(lost
          ? ['what this host had of the cluster’s store is lost; where no other host has it, it has to be begun anew']
          : []),
      ];
      return {
        ...(cluster ? { cluster: cluster.id } : {}),
        hosts: [...(seen?.hosts ?? [])].map(([id, { name, control }]) => ({ peer: id, name, control })),
        voters: (seen?.members ?? []).filter(({ isLearner }) => !isLearner).map(({ name }) => name),
        ...(etcdPid ? { etcd: etcdPid } : {}),
        removed: cluster?.removed ?? false,
        targets: targets.list(),
        notices,
      };
    },
    async close() {
      await targets.close();
      await closeControl();
      await life.close();
    },
  };
}
