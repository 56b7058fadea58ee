import { setTimeout as delay } from 'node:timers/promises';
import {
  asWeaveError,
  type Change,
  type Directory,
  HOST,
  networkMtu,
  type Peer,
  roomOf,
  WeaveError,
} from '@weave/core';
import type { Cluster } from './cluster/cluster.ts';
import { openEtcd } from './etcd/directory.ts';
import type { EtcdOptions } from './etcd/options.ts';
import type { Host } from './host.ts';
import { inBackground } from './log.ts';
import { type Managed, managedStore } from './managed/managed.ts';
import { underlayAddresses } from './underlay/addresses.ts';
import { type UnderlayPath, underlayPaths } from './underlay/paths.ts';
import { type PeerTraffic, peerTraffic } from './underlay/traffic.ts';

/** What changes at once is looked at once. */
const SETTLE_MS = 50;
/** How often it is seen to that packets are counted. */
const MEND_MS = 60_000;
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
  const paths = underlayPaths({ local, log });
  const traffic = peerTraffic();
  let turn: Promise<unknown> = Promise.resolve();
  let settling: NodeJS.Timeout | undefined;
  let probed = '[]';
  let refused: string | undefined;

  /** Those that share a network with this host: the others cost nothing. */
  function neighbours(): Peer[] {
    const ids = new Set<string>();
    for (const network of state.networks.keys())
      if (state.isMember(network)) for (const peer of state.membersOf(network).keys()) ids.add(peer);
    ids.delete(state.self);
    return [...ids].flatMap((id) => state.peers.get(id) ?? []);
  }

  async function look(): Promise<void> {
    settling = undefined;
    const peers = neighbours().flatMap(({ id, underlay: to }) => (to ? { id, address: to } : []));
    const now = JSON.stringify(peers);
    if (now !== probed) {
      probed = now;
      paths.setPeers(peers);
      refused = await traffic.setPeers(peers.map((peer) => peer.address));
    }
    await resize();
  }

  function note(changes: readonly Change[]): void {
    if (changes.some(({ table }) => table === 'endpoint' || table === 'peer' || table === 'network'))
      settling ??= setTimeout(() => void inBackground(log, 'paths could not be looked at', look), SETTLE_MS).unref();
  }

  /** Networks whose MTU nobody chose have the one that fits between all of their hosts. */
  async function resize(): Promise<void> {
    for (const id of [...state.networks.keys()]) {
      const network = state.networks.get(id);
      if (!network?.autoMtu || !state.isMember(id)) continue;
      const members = [...state.membersOf(id).keys()];
      const mtu = networkMtu(undefined, members.length > 1 ? members.map((id) => state.peers.get(id)?.mtu) : []);
      if (mtu === network.mtu) continue;
      log('info', 'a network’s MTU changes', { network: network.name, from: network.mtu, to: mtu });
      await host.follow({
        changes: [{ table: 'network', id, record: { ...network, mtu } }],
        networks: [id],
      });
    }
  }

  async function tellRoom(): Promise<void> {
    const mtu = roomOf(paths.paths());
    if (mtu !== undefined && mtu !== state.peers.get(state.self)?.mtu) await company.cluster?.tell({ mtu });
  }

  const mending = setInterval(
    () =>
      void inBackground(log, 'packets by peer could not be counted', async () => {
        if (!(await traffic.isAsSet())) refused = await traffic.set();
      }),
    MEND_MS,
  ).unref();
  const endPaths = paths.onChange(() => void inBackground(log, 'the MTU could not be told', tellRoom));

  function use(directory: Directory | undefined, founds = true): Promise<void> {
    const next = turn.then(async () => {
      await company.cluster?.close();
      company.cluster = directory && begin(directory, founds);
    });
    turn = next.catch((error: unknown) => log('error', 'the store could not be changed', { error: String(error) }));
    return next;
  }

  let managed: Managed | undefined;
  let endManaged: () => void = () => undefined;
  let hindered: string | undefined;
  let closed = false;
  if (etcd) await use(openEtcd(etcd));
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
    const change = (store = managed!.store) =>
      void use(store && openEtcd({ endpoints: store.endpoints, tls: store.tls }), store?.begun);
    endManaged = managed.onChange(change);
    if (managed.store) change();
  }

  note([{ table: 'peer', id: self.id, record: self }]);

  const isJoining = (): boolean => {
    if (state.cluster) return false;
    if (company.cluster) return company.cluster.status().problem === undefined;
    return managed?.status().targets.some(({ state: target }) => target !== 'refused') ?? false;
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
    paths: paths.paths,
    traffic: traffic.read,
    notices: () => [...(managed?.status().notices ?? []), ...[hindered, refused].filter((each) => each !== undefined)],
    note,
    async close({ leave }) {
      closed = true;
      clearTimeout(settling);
      clearInterval(mending);
      endManaged();
      endPaths();
      await turn;
      await company.cluster?.close({ leave });
      company.cluster = undefined;
      if (leave) await managed?.leave();
      await managed?.close();
      paths.close();
      if (leave) await traffic.end();
    },
  };
}
