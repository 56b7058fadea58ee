import type { Link, NameEntry } from '@weave/sdk/client';
import { EXTERN, info } from './text.ts';
import { mainPool, type View } from './view.ts';

/** What 2.8's report says that means something here, by its names; and under `Host` all that we say ourselves. */
export function reportOf(view: View) {
  const { status, peers, pools, targets, connections, names } = view;
  return {
    Ready: true,
    Version: status.version,
    VersionCheck: { Enabled: false, Success: false, NewVersion: '', NextCheckAt: '0001-01-01T00:00:00Z' },
    Router: routerOf(view),
    ...(mainPool(view) ? { IPAM: ipamOf(view) } : {}),
    ...(view.status.dns ? { DNS: dnsOf(view, view.status.dns) } : {}),
    Plugin: { Config: { Socket: '/run/docker/plugins/weave.sock' }, DriverName: 'weave', MeshDriverName: 'weavemesh' },
    Host: { status, peers, pools, targets, connections, names },
  };
}

export type Report = ReturnType<typeof reportOf>;

function routerOf({ status, peers, links, targets, connections }: View) {
  return {
    Protocol: 'vxlan',
    ProtocolMinVersion: 1,
    ProtocolMaxVersion: 1,
    Encryption: false,
    PeerDiscovery: true,
    Name: status.peer.id,
    NickName: status.peer.name,
    Port: 6783,
    Peers: peers.map(({ id, name, self }) => ({
      Name: id,
      NickName: name,
      Connections: self ? links.flatMap(peerConnection) : [],
    })),
    Connections: links.map((link) => ({
      Address: link.address,
      Outbound: true,
      State: link.state,
      Info: info(link),
      Attrs: { encrypted: false, ...(link.path?.mtu === undefined ? {} : { mtu: link.path.mtu }) },
    })),
    TerminationCount: connections.reduce((sum, { terminations }) => sum + terminations, 0),
    Targets: targets.map(({ address }) => address),
    TrustedSubnets: [],
  };
}

const peerConnection = ({ peer, address, state }: Link) =>
  peer
    ? [{ Name: peer.id, NickName: peer.name, Address: address, Outbound: true, Established: state === 'established' }]
    : [];

function ipamOf(view: View) {
  const { cidr, size, active, holdings } = mainPool(view)!;
  const known = new Set(view.peers.map(({ id }) => id));
  return {
    Range: cidr,
    RangeNumIPs: Number(size),
    ActiveIPs: active,
    DefaultSubnet: cidr,
    Entries: holdings.map(({ peer, name, addresses }) => ({
      Size: Number(addresses),
      Peer: peer,
      Nickname: name,
      IsKnownPeer: known.has(peer),
    })),
  };
}

const dnsOf = ({ names }: View, { domain, addresses }: NonNullable<View['status']['dns']>) => ({
  Domain: `${domain}.`,
  Address: `${addresses[0]}:53`,
  TTL: 1,
  Entries: names.flatMap(entriesOf),
});

/** One for each address. */
export const entriesOf = ({ name, addresses, peer, container = EXTERN }: NameEntry) =>
  addresses.map((address) => ({ Hostname: `${name}.`, Origin: peer, ContainerID: container, Address: address }));
