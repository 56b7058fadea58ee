import { address, type Change, LEAST_MTU, networkMtu, type Peer, roomOf, VXLAN_OVERHEAD } from '@weave/core';
import type { Cluster } from './cluster/cluster.ts';
import type { Host } from './host.ts';
import { inBackground } from './log.ts';
import { type UnderlayPath, underlayPaths } from './underlay/paths.ts';
import { type PeerTraffic, peerTraffic } from './underlay/traffic.ts';

/** What changes at once is looked at once. */
const SETTLE_MS = 50;
/** How often it is seen to that packets are counted. */
const MEND_MS = 60_000;

/** Those that share a network with this host: the others cost nothing. */
export interface Neighbours {
  paths(): UnderlayPath[];
  traffic(): Promise<PeerTraffic[]>;
  notices(): string[];
  /** Of what is shared: see {@link Host.commit}. */
  note(changes: readonly Change[]): void;
  /** Nothing is changed any more. */
  stop(): void;
  close(options: { leave: boolean }): Promise<void>;
}

/** Looks after the paths to them, counts what goes there, and gives networks the MTU that follows. */
export function createNeighbours(
  host: Host,
  company: { readonly cluster?: Cluster | undefined },
  local: readonly string[],
): Neighbours {
  const { state, log } = host;
  const paths = underlayPaths({ local, log });
  const traffic = peerTraffic();
  let settling: NodeJS.Timeout | undefined;
  let probed = '[]';
  let refused: string | undefined;

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

  return {
    paths: paths.paths,
    traffic: traffic.read,
    notices: () => [
      ...paths.paths().flatMap((path) => tooSmall(path, state.peers.get(path.peer)?.name ?? path.peer)),
      ...(refused === undefined ? [] : [refused]),
    ],
    note(changes) {
      if (changes.some(({ table }) => table === 'endpoint' || table === 'peer' || table === 'network'))
        settling ??= setTimeout(() => void inBackground(log, 'paths could not be looked at', look), SETTLE_MS).unref();
    },
    stop() {
      clearTimeout(settling);
      clearInterval(mending);
      endPaths();
    },
    async close({ leave }) {
      paths.close();
      if (leave) await traffic.end();
    },
  };
}

/** What a path cannot carry, and nobody who sends it can be told of: VXLAN is not cut over IPv6. */
function tooSmall({ address: to, mtu }: UnderlayPath, name: string): string[] {
  if (mtu === undefined || address(to).family === 4 || mtu >= LEAST_MTU + VXLAN_OVERHEAD[6]) return [];
  const room = mtu - VXLAN_OVERHEAD[6];
  return [
    `the path to ${name} takes packets of ${mtu} bytes: those of containers above ${room} bytes get there only as TCP, or over IPv4 with DF`,
  ];
}
