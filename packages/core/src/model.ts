/** The records that Weave keeps. Plain values: what is stored, sent and planned from is exactly this. */

/** A host that runs Weave. */
export interface Peer {
  /** 32 hex digits, chosen once at random. */
  readonly id: string;
  readonly name: string;
  /** Where its VXLAN endpoint is on the underlay; absent on a host that is alone. */
  readonly underlay?: string;
  /** The largest packet that a network may send over all of its paths to hosts that it shares one with, in bytes. */
  readonly mtu?: number;
  /** The records of this host were lost, and those who can tell them again have not all been heard. */
  readonly rebuilding?: true;
}

/**
 * Who leads a network's containers out: the `engine` (docker_gwbridge), `weave` (an address of the host on the
 * network, masqueraded), or `none`.
 */
export type Gateway = 'engine' | 'weave' | 'none';

export interface Subnet {
  /** `10.32.0.0/12`, host bits zero. */
  readonly cidr: string;
  /** Without prefix length. */
  readonly gateway?: string;
  /** The pool that Weave hands addresses out of; absent where an engine's own IPAM does. */
  readonly pool?: string;
}

export interface Network {
  /** 64 hex digits; the engine's own id where an engine made it. */
  readonly id: string;
  readonly name: string;
  /** VXLAN network identifier, 1 to 2^24-1. */
  readonly vni: number;
  readonly subnets: readonly Subnet[];
  /** Bytes, of every link of the network. */
  readonly mtu: number;
  /** Nobody chose its MTU: it is what fits between its hosts. */
  readonly autoMtu?: true;
  /** Whether containers get a route for 224.0.0.0/4 over this network. */
  readonly multicast: boolean;
  readonly gateway: Gateway;
  readonly internal: boolean;
  readonly owner: 'weave' | 'docker';
  /** The host that it was made on; absent: this one. */
  readonly origin?: string;
}

/** A range that Weave hands addresses out of. */
export interface Pool {
  /** `weave:` and the subnet that it was made with, so that it can be known again from the engine's word alone. */
  readonly id: string;
  readonly cidr: string;
  /** The subnets that it was before it grew, the smallest first: what was divided then stays divided so. */
  readonly grownFrom?: readonly string[];
  /** The part that unasked-for addresses are taken from. */
  readonly range?: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  /** The host that it was made on; absent: this one. */
  readonly origin?: string;
}

/** An address of a pool given to an engine, which gives it back by itself; or, out of a cell of ours, to another host. */
export interface Lease {
  readonly pool: string;
  readonly address: string;
  readonly peer?: string;
}

/** A block of a pool's addresses that is this host's: hosts with a directory hand out only what is in theirs. */
export interface Cell {
  readonly pool: string;
  readonly cidr: string;
  /** Its pool is gone: nothing is handed out of it, and the directory has still to hear of that. */
  readonly leaving?: true;
}

/** A network as this host's engine calls it, where that is not our id for it: another host's engine made it. */
export interface Binding {
  /** The engine's id. */
  readonly id: string;
  readonly network: string;
}

/** Which host this is, and what it belongs to. */
export interface Self {
  readonly peer: string;
  /** The id of the cluster; absent while it is alone. */
  readonly cluster?: string;
  /** Which of its directories: one that was lost is made anew from what hosts know. */
  readonly incarnation?: string;
  /** The store that it was last in, where the hosts run it themselves. */
  readonly store?: string;
  /** What the names of its containers end in: lower case, without the final dot. Absent: they have none, and no DNS. */
  readonly domain?: string;
}

export interface PublishedPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly hostAddress?: string;
  readonly hostPort: number;
  readonly port: number;
}

export interface ContainerRef {
  readonly id: string;
  readonly name: string;
}

/** Where an endpoint's interface is. */
export type Sandbox =
  /** An engine takes the interface from the host's namespace and puts it into its sandbox `key` itself. */
  | {
      readonly kind: 'engine';
      readonly key: string;
      readonly multicast: boolean;
      /** Its interface leads to the DNS: a sandbox has one route there, whatever the networks. */
      readonly dns?: true;
    }
  /** Weave put `interface` into the namespace at `path` itself; `id` is that namespace's cookie. */
  | {
      readonly kind: 'netns';
      readonly path: string;
      readonly id: string;
      readonly interface: string;
    }
  /** The host's own namespace: the host itself is on the network. The subnets of the addresses `direct` are not masqueraded. */
  | { readonly kind: 'host'; readonly interface: string; readonly direct?: readonly string[] }
  /** A bridge of the host's, whose frames are the network's too: the endpoint has no address. */
  | { readonly kind: 'bridge'; readonly bridge: string; readonly interface: string };

export interface Endpoint {
  /** 64 hex digits. */
  readonly id: string;
  readonly network: string;
  /** The host that it is on. */
  readonly peer: string;
  /** With prefix lengths; the first of each family is the one shown. */
  readonly addresses: readonly string[];
  readonly mac: string;
  readonly owner: 'weave' | 'docker';
  /** Which of the network's bridges on its host it is on: a Linux bridge has room for 1,023. Absent: the first. */
  readonly shard?: number;
  /** Absent while it is attached nowhere. */
  readonly sandbox?: Sandbox;
  readonly container?: ContainerRef;
  readonly ports?: readonly PublishedPort[];
  /** No route for multicast here, whatever the network gives. */
  readonly noMulticast?: true;
  /** Its container's process waits until all of it is there. */
  readonly awaited?: true;
  /** Its container's /etc/hosts has these. */
  readonly hosts?: HostsEntries;
  /** Lower case, with the domain, without the final dot; the container's own first. Empty: it is to have none. */
  readonly names?: readonly string[];
  /** Where its container says that it can be reached. */
  readonly services?: readonly Service[];
}

export interface HostsEntries {
  /** The names of the container itself, of which its addresses here are; absent: it is left to others what they are. */
  readonly own?: string;
  /** Lines of others' names. */
  readonly others: readonly string[];
}

export interface Service {
  readonly protocol: PublishedPort['protocol'];
  readonly port: number;
}

/** A name that somebody gave to an address, whatever has that. */
export interface Name {
  /** The host that it was given on. */
  readonly peer: string;
  /** As those of an {@link Endpoint}. */
  readonly name: string;
  /** Without prefix length. */
  readonly address: string;
  /** The container's id with which it goes; absent: it stays until it is taken back. */
  readonly container?: string;
}

export interface Records {
  self: Self;
  peer: Peer;
  network: Network;
  binding: Binding;
  pool: Pool;
  cell: Cell;
  lease: Lease;
  endpoint: Endpoint;
  name: Name;
}

export type Table = keyof Records;

/** Parents first: whoever refers to a record comes after it. */
export const TABLES = [
  'self',
  'peer',
  'pool',
  'cell',
  'network',
  'binding',
  'lease',
  'endpoint',
  'name',
] as const satisfies readonly Table[];

/** One record written, or removed (`null`). What a verb decides is a list of these; what is stored, too. */
export type Change = { [T in Table]: { table: T; id: string; record: Records[T] | null } }[Table];

export const DEFAULT_NETWORK = 'weave';
/** The default network's subnets: Weave 2.8's range, and an IPv6 one out of our own ULA prefix ("weave" in ASCII). */
export const DEFAULT_SUBNETS = ['10.32.0.0/12', 'fd77:6561:7665::/64'] as const;
/** What networks made without a subnet get theirs from, and how large. */
export const SUBNET_SOURCES = {
  4: { from: '10.64.0.0/10', length: 20 },
  6: { from: 'fd77:6561:7665::/48', length: 64 },
} as const;

/** 1500 less VXLAN over IPv6 (40 + 8 + 8 + 14): fits either underlay. */
export const DEFAULT_MTU = 1430;

/** IANA's. */
export const VXLAN_PORT = 4789;

export const MULTICAST_ROUTE = '224.0.0.0/4';

/** Where the names are asked for: the same on every host and network, each host's own. */
export const DNS_ADDRESS = { 4: '169.254.53.53', 6: 'fd77:6561:7665:53::53' } as const;
export const DEFAULT_DOMAIN = 'weave.local';

export const SELF = 'self';
export const cellId = (pool: string, cidr: string) => `${pool} ${cidr}`;
export const nameId = ({ peer, name, address }: Name) => `${peer}/${name}/${address}`;
export const leaseId = (pool: string, address: string) => `${pool} ${address}`;

/** How long a leased key of the directory outlives its writer. */
export const LEASE_SECONDS = 10;
/** Conditions and writes of one transaction: an etcd that is set up as it comes takes 128. */
export const TRANSACTION_ROOM = 128;
/** And so much text in keys and values: as UTF-8 it is below the 1.5 MB of a request to such an etcd. */
export const TRANSACTION_CHARACTERS = 400_000;
