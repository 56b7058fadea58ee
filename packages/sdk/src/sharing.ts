import { setTimeout as delay } from 'node:timers/promises';
import { asWeaveError, type Change, type Directory, HOST, SELF, type State, WeaveError } from '@weave/core';
import type { Cluster } from './cluster/cluster.ts';
import { alone, moveTo } from './cluster/leave.ts';
import { openEtcd } from './etcd/directory.ts';
import type { EtcdOptions } from './etcd/options.ts';
import type { Host } from './host.ts';
import { inBackground } from './log.ts';
import { type Managed, type ManagedStore, managedStore } from './managed/managed.ts';
import { createNeighbours } from './neighbours.ts';
import { underlayAddresses } from './underlay/addresses.ts';
import type { UnderlayPath } from './underlay/paths.ts';
import type { PeerTraffic } from './underlay/traffic.ts';

/** How soon it is tried again to let other hosts connect. */
const MANAGE_MS = 5000;
/** How long a verb waits for this host to join. */
const JOIN_MS = 30_000;
const LOOK_MS = 50;

export interface SharingOptions {
  /** The store that hosts share, where there is one already. */
  etcd?: EtcdOptions | undefined;
  /** Else the hosts run it themselves. */
  managed?: { stateDir: string; password?: string | undefined; targets?: readonly string[] | undefined } | undefined;
  /** Addresses at which other hosts reach this one, one of a family; found where none is said. */
  underlay?: readonly string[] | undefined;
}

/** This host's way to the others. */
export interface Sharing {
  readonly managed: Managed | undefined;
  paths(): UnderlayPath[];
  traffic(): Promise<PeerTraffic[]>;
  notices(): string[];
  /** Whether this host is to join others and nothing is known to be in the way. */
  isJoining(): boolean;
  /** When it has joined, or cannot. WEAVE_DIRECTORY_UNREACHABLE when that takes too long. */
  joined(): Promise<void>;
  /** Of what is shared: see {@link Host.commit}. */
  note(changes: readonly Change[]): void;
  close(options: { leave: boolean }): Promise<void>;
}

/** Of a cluster in a store that hosts ran themselves: it ended with that. */
const wasOnlyOne = (state: State) => state.peers.size === 1 && state.selves.get(SELF)?.store !== undefined;

/** Begins to share: with a store as soon as there is one. `begin` makes the cluster of a directory. */
export async function share(
  host: Host,
  company: { cluster?: Cluster | undefined },
  { etcd, managed: wanted, underlay }: SharingOptions,
  begin: (directory: Directory, founds: boolean) => Cluster,
): Promise<Sharing> {
  const { state, datapath, log } = host;
  const [observed] = await datapath.observe([{ netns: HOST }]);
  const { ipv4, ipv6 } = underlayAddresses(observed!, underlay);
  const local = [ipv4, ipv6].filter((address) => address !== undefined);
  const [address] = local;
  const self = state.peers.get(state.self)!;
  if (address && self.underlay !== address)
    await inBackground(log, 'the address of this host could not be recorded', () =>
      host.follow({ changes: [{ table: 'peer', id: self.id, record: { ...self, underlay: address } }] }),
    );
  const neighbours = createNeighbours(host, company, local);
  let turn: Promise<unknown> = Promise.resolve();

  function use(open: () => Directory, founds = true): Promise<void> {
    return inTurn(async () => {
      await company.cluster?.close();
      company.cluster = begin(open(), founds);
    });
  }

  function inTurn(work: () => Promise<void>): Promise<void> {
    const next = turn.then(work);
    turn = next.catch((error: unknown) => log('error', 'the store could not be changed', { error: String(error) }));
    return next;
  }

  let managed: Managed | undefined;
  let endManaged: () => void = () => undefined;
  let hindered: string | undefined;
  let closed = false;
  if (etcd) await use(() => openEtcd(etcd));
  else if (wanted) await manage(wanted);

  /** Where it cannot be begun now, as on a full disk, it is tried on: a host serves all the same. */
  async function manage(how: NonNullable<SharingOptions['managed']>): Promise<void> {
    const bind = ipv4 ? {} : { bind: ['::'] };
    const busy = () => state.endpoints.size > 0;
    const peer = { id: self.id, name: self.name };
    try {
      managed = await managedStore({ ...how, ...bind, busy, peer, addresses: local, log });
    } catch (error) {
      hindered = `other hosts cannot be connected to: ${asWeaveError(error).message}`;
      log('warn', 'other hosts cannot be connected to', { error: asWeaveError(error).toJSON() });
      if (!closed) setTimeout(() => void manage(how), MANAGE_MS).unref();
      return;
    }
    hindered = undefined;
    if (closed) return managed.close();
    const follow = (store: ManagedStore | undefined) => change(store).catch(() => undefined);
    endManaged = managed.onChange(follow);
    await follow(managed.store);
  }

  async function change(store: ManagedStore | undefined): Promise<void> {
    if (store)
      return use(() => {
        moveTo(store.clusterId, host);
        return openEtcd({ endpoints: store.endpoints, tls: store.tls });
      }, store.begun);
    const { removed } = managed!.status();
    await inTurn(async () => {
      await company.cluster?.close({ leave: removed });
      company.cluster = undefined;
      // What this host held may be the others' by now, and nothing goes from here to there; or there were no others.
      if (state.cluster && (removed || wasOnlyOne(state)))
        await host.follow({ changes: alone(state), networks: [...state.networks.keys()] });
    });
  }

  neighbours.note([{ table: 'peer', id: self.id, record: self }]);

  const isJoining = (): boolean => {
    if (state.cluster) return false;
    if (company.cluster) return company.cluster.status().problem === undefined;
    const { targets = [], removed = false } = managed?.status() ?? {};
    return !removed && targets.some(({ state: target }) => target !== 'refused');
  };

  return {
    get managed() {
      return managed;
    },
    isJoining,
    async joined() {
      for (const end = performance.now() + JOIN_MS; isJoining(); await delay(LOOK_MS))
        if (performance.now() > end)
          throw new WeaveError('WEAVE_DIRECTORY_UNREACHABLE', 'this host has not joined the others yet', {
            hint: 'See: weave status. To use it alone: weave forget, with what launch or connect were given.',
          });
    },
    paths: neighbours.paths,
    traffic: neighbours.traffic,
    notices: () => [
      ...(managed?.status().notices ?? []),
      ...(hindered === undefined ? [] : [hindered]),
      ...neighbours.notices(),
    ],
    note: neighbours.note,
    async close({ leave }) {
      closed = true;
      endManaged();
      neighbours.stop();
      await turn;
      await company.cluster?.close({ leave });
      company.cluster = undefined;
      if (leave) await managed?.leave();
      await managed?.close();
      await neighbours.close({ leave });
    },
  };
}
