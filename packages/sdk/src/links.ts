import type { Connection, ConnectTarget, PeerStatus } from './weave.ts';

/** Another host as Weave 2.8 shows one, in its words. */
export interface Link {
  /** With a port. */
  address: string;
  state: 'established' | 'pending' | 'connecting' | 'retrying' | 'failed';
  /** Absent where nobody has answered. */
  peer?: { id: string; name: string };
  problem?: string;
  /** Absent while the two share no network: there is no path to look after. */
  path?: Connection;
}

/** As 2.8 calls VXLAN that the kernel does. */
export const OVERLAY = 'fastdp';

const PORT = 6783;

const PATH_STATES = { probing: 'pending', reachable: 'established', unreachable: 'retrying' } as const;
const TARGET_STATES = { trying: 'retrying', waiting: 'pending', together: 'established', refused: 'failed' } as const;

/** Every other host of the cluster, and every target that is not of it yet. */
export function linksOf(
  peers: readonly PeerStatus[],
  connections: readonly Connection[],
  targets: readonly ConnectTarget[],
): Link[] {
  const others = peers.filter(({ self }) => !self).map((peer) => linkTo(peer, connections));
  const wanted = targets.filter(({ state }) => state !== 'together').map(linkOfTarget);
  return [...others, ...wanted];
}

function linkTo({ id, name, underlay = '', alive }: PeerStatus, connections: readonly Connection[]): Link {
  const peer = { id, name };
  const path = connections.find((connection) => connection.peer === id);
  if (!path)
    return {
      ...{ address: withPort(underlay), peer },
      ...(alive ? { state: 'established' } : { state: 'failed', problem: 'it is not heard of' }),
    };
  const state = PATH_STATES[path.state];
  const problem = state === 'retrying' ? { problem: 'no answer' } : {};
  return { address: withPort(path.address), state, peer, path, ...problem };
}

function linkOfTarget({ address, state, problem }: ConnectTarget): Link {
  if (state === 'trying' && problem === undefined) return { address: withPort(address), state: 'connecting' };
  return { address: withPort(address), state: TARGET_STATES[state], ...(problem === undefined ? {} : { problem }) };
}

/** An IPv6 address has colons of its own, and brackets where it has a port. */
function withPort(address: string): string {
  if (address.includes(']')) return address.endsWith(']') ? `${address}:${PORT}` : address;
  const colons = address.split(':').length - 1;
  if (colons > 1) return `[${address}]:${PORT}`;
  return colons === 1 ? address : `${address}:${PORT}`;
}
