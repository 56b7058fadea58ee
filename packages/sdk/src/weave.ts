import type {
  ContainerRef,
  Endpoint,
  NamedContainer,
  Network,
  NetworkSpec,
  PublishedPort,
  SubnetSpec,
} from '@weave/core';
import type { Attachment, AttachOptions, ExposeOptions, OnNetwork, Target } from './attachment.ts';
import type { Connection, ConnectTarget } from './connection.ts';
import type { NameEntry, NameTarget } from './name.ts';
import type { ClusterStatus, PeerStatus, PoolUse } from './weave-cluster.ts';

export type * from './attachment.ts';
export type * from './connection.ts';
export type * from './name.ts';
export type * from './weave-cluster.ts';

export interface NetworkDetails extends Network {
  endpoints: Endpoint[];
}

/** What an engine's driver face tells of a network that the engine made. */
export interface EngineNetwork {
  /** The engine's id for it. */
  id: string;
  name?: string | undefined;
  /** `ours`: out of a pool of {@link Weave.pools}. */
  subnets: { cidr: string; gateway?: string | undefined; ours: boolean }[];
  /** As in `--opt`. */
  options: Record<string, string>;
  internal: boolean;
}

export interface EngineEndpoint {
  id: string;
  network: string;
  /** With prefix lengths. */
  addresses: string[];
  /** Absent: derived from the first address. */
  mac?: string | undefined;
}

/** A link in the host's namespace that the engine now moves into its sandbox, and what it is to do with it. */
export interface Handover {
  link: string;
  mac: string;
  /** Without prefix length; only where Weave is the gateway. */
  gateways: string[];
  /** Destinations that are on the link. */
  routes: string[];
  /** The engine shall give the sandbox no way out of its own either. */
  noGateway: boolean;
}

export interface Pool {
  id: string;
  /** The subnet. */
  cidr: string;
  /** Of a network that is there already, and has no gateway: none is to be asked for. */
  noGateway?: boolean;
}

export interface EngineSnapshot {
  networks: (EngineNetwork & {
    range?: Record<string, string>;
    reserved: string[];
    endpoints: EngineSnapshotEndpoint[];
  })[];
  /** Of the containers that Weave attached: those that the engine still has. */
  containers: EngineContainer[];
  /** And the ids of those that it has not. */
  gone: string[];
  /**
   * Ids of the networks and endpoints that Weave had before the engine was asked, and those of {@link Weave.pools.grants}
   * that the engine had the time to use: what came later is not judged.
   */
  before: string[];
}

export interface EngineSnapshotEndpoint {
  id: string;
  addresses: string[];
  mac: string;
  /** Absent while the engine has no container in it yet. */
  container?: ContainerRef | undefined;
  /** The engine's sandbox. */
  sandbox?: string | undefined;
}

export interface EngineContainer extends NamedContainer {
  /** Zero while it does not run. */
  pid: number;
  /** The engine's endpoints of it, on whatever networks. */
  endpoints?: string[] | undefined;
}

export interface Status {
  version: string;
  pid: number;
  /** This host. */
  peer: { id: string; name: string };
  networks: number;
  endpoints: number;
  /** Milliseconds since 1970. */
  started: number;
  /** Absent where containers have no names. */
  dns?: { domain: string; addresses: string[] };
  /** Absent on a host that is meant to be alone. */
  cluster?: ClusterStatus;
  /** What was found broken and mended since the start: how often, by operation. */
  repairs: Record<string, number>;
  /** What a person should know: a store file set aside, repairs that failed. */
  notices: string[];
}

/** What status, report and metrics are made of. */
export interface Overview {
  status: Status;
  peers: PeerStatus[];
  pools: PoolUse[];
  targets: ConnectTarget[];
  connections: Connection[];
  names: NameEntry[];
}

/** Two that should agree and do not. */
export interface Difference {
  /** Whether the records disagree with the kernel, the store file, or the engine. */
  where: 'kernel' | 'store' | 'engine';
  /** A sentence. */
  what: string;
  /** Only after a fix: whether it is no more. */
  fixed?: boolean;
}

export interface Check {
  /** What was asked: `engine` only where one answers. */
  compared: Difference['where'][];
  differences: Difference[];
}

/**
 * A record that changed, after it was made durable and before the kernel was told. Of a `peer` also that it is heard of,
 * or is not any more: then its names are others.
 */
export type WeaveEvent = {
  type: 'network' | 'endpoint' | 'name' | 'peer';
  action: 'created' | 'changed' | 'removed';
  id: string;
};

/**
 * Container networks of one host. {@link open} gives one in this process, {@link connect} one in the daemon; both
 * behave the same. Every method throws `WeaveError`, whose `code` says what and `kind` says which sort; a verb that
 * threw has changed nothing, and every verb may be repeated.
 */
export interface Weave extends AsyncDisposable {
  readonly networks: {
    /** Absent subnets are chosen, one of each family. WEAVE_NETWORK_EXISTS, WEAVE_SUBNET_OVERLAP, WEAVE_INVALID_… */
    create(spec: NetworkSpec & { subnets?: readonly SubnetSpec[] | undefined }): Promise<Network>;
    list(): Promise<Network[]>;
    /** By name or id. WEAVE_NETWORK_NOT_FOUND. */
    inspect(network: string): Promise<NetworkDetails>;
    /**
     * Makes the subnet that lies in `subnet` as large as that, while it is in use, on every host. What engines recorded of
     * it stays as it was. WEAVE_INVALID_SUBNET, WEAVE_SUBNET_OVERLAP, WEAVE_ENGINE_IPAM, WEAVE_ADDRESS_IN_USE.
     */
    grow(network: string, subnet: string): Promise<Network>;
    /** WEAVE_NETWORK_IN_USE, WEAVE_NETWORK_OWNED, WEAVE_NETWORK_NOT_FOUND. */
    remove(network: string): Promise<void>;
    /** For an engine's face: a network that the engine made. The same one again is a success. */
    adopt(spec: EngineNetwork): Promise<void>;
    /** For an engine's face: the engine removed it; all that was attached goes too. Unknown ids are a success. */
    forget(id: string): Promise<void>;
  };
  readonly pools: {
    /** A subnet to hand out of; absent, one is chosen that neither Weave nor the host uses. WEAVE_SUBNET_OVERLAP. */
    request(request: {
      family: 4 | 6;
      cidr?: string | undefined;
      range?: string | undefined;
      /** The network, by name or id, whose pool it is to be. */
      network?: string | undefined;
    }): Promise<Pool>;
    release(pool: string): Promise<void>;
    /** The lowest free address, or the one asked for; answered with prefix length. WEAVE_ADDRESS_IN_USE, WEAVE_POOL_EXHAUSTED. */
    requestAddress(pool: string, address?: string): Promise<string>;
    releaseAddress(pool: string, address: string): Promise<void>;
    /** Marks of all pools and addresses as they are given out now: given again, they have others. */
    grants(): Promise<string[]>;
  };
  readonly endpoints: {
    /** An engine's endpoint with addresses, attached nowhere yet. WEAVE_ADDRESS_IN_USE, WEAVE_NETWORK_NOT_FOUND. */
    create(spec: EngineEndpoint): Promise<Endpoint>;
    /** Makes its link, for the engine to move into its sandbox. WEAVE_ENDPOINT_NOT_FOUND. */
    attach(id: string, sandbox: string): Promise<Handover>;
    /** Takes the link away; the endpoint stays. Unknown ids are a success. */
    detach(id: string): Promise<void>;
    /** Unknown ids are a success. */
    remove(id: string): Promise<void>;
    /**
     * Those of this host; `everywhere`: also those of others, on the networks that this host is on. `with`: only those
     * in the sandbox of this endpoint, itself among them.
     */
    list(filter?: {
      network?: string | undefined;
      everywhere?: boolean | undefined;
      with?: string | undefined;
    }): Promise<Endpoint[]>;
    /** Ports that an engine publishes, of an endpoint whose gateway is Weave. */
    publish(id: string, ports: PublishedPort[]): Promise<void>;
  };
  /**
   * Gives `target` an interface on a network. Addresses: `10.2.1.1/24`, `net:10.2.1.0/24`, `net:default`; none is one
   * of each family of the network. What is there already is kept, and asking for it again changes nothing.
   * WEAVE_INVALID_ADDRESS, WEAVE_ADDRESS_IN_USE, WEAVE_POOL_EXHAUSTED, WEAVE_CONTAINER_NOT_FOUND, WEAVE_NOT_RUNNING,
   * WEAVE_HOST_NETWORK, WEAVE_NETNS_NOT_FOUND.
   */
  attach(target: Target, addresses?: readonly string[], options?: AttachOptions): Promise<Attachment>;
  /** Takes addresses away, by default all; answers those that went. What is not there is passed over. */
  detach(target: Target, addresses?: readonly string[], options?: OnNetwork): Promise<string[]>;
  /**
   * Puts this host itself on a network, with addresses as {@link attach} takes them: it reaches the containers of those
   * subnets and they it, from every host. WEAVE_INVALID_ADDRESS, WEAVE_ADDRESS_IN_USE, WEAVE_POOL_EXHAUSTED.
   */
  expose(addresses?: readonly string[], options?: ExposeOptions): Promise<Attachment>;
  /** Takes addresses of this host's away, by default all; answers those that went. */
  hide(addresses?: readonly string[], options?: OnNetwork): Promise<string[]>;
  readonly names: {
    /** Gives a name. WEAVE_INVALID_NAME, WEAVE_INVALID_ADDRESS, WEAVE_NO_DNS, WEAVE_NOT_RUNNING. */
    add(target: NameTarget): Promise<void>;
    /** Takes names of this host away; what is not there is passed over. */
    remove(target: NameTarget): Promise<void>;
    /** All that is known and whose host is heard of; `of`: what one endpoint has, or one that was given. */
    list(filter?: { of?: string | undefined }): Promise<NameEntry[]>;
    /** The addresses of a name, those of this host first; none where there is no such name. */
    lookup(name: string): Promise<string[]>;
  };
  readonly bridges: {
    /** Joins a bridge of this host, with all that is on it, to a network. WEAVE_BRIDGE_NOT_FOUND. */
    attach(bridge: string, options?: OnNetwork): Promise<void>;
    /** What is not joined is a success. */
    detach(bridge: string, options?: OnNetwork): Promise<void>;
  };
  readonly cluster: {
    /** The hosts that this one knows of, itself among them. */
    peers(): Promise<PeerStatus[]>;
    /** Who holds what of each pool of addresses. */
    pools(): Promise<PoolUse[]>;
    /**
     * Takes a host that is gone for good out of the cluster, by name or id; answers how many addresses are free by it.
     * WEAVE_PEER_ALIVE, WEAVE_PEER_NOT_FOUND, WEAVE_DIRECTORY_UNREACHABLE.
     */
    remove(peer: string): Promise<string>;
    /** Returns when this host has addresses to hand out. */
    prime(): Promise<void>;
    /**
     * Connects this host to others, each `host[:port]`, and remembers them; `replace`: and forgets those of before. Returns
     * when one answered; who does not answer yet is tried on. WEAVE_OTHER_CLUSTER, WEAVE_JOIN_DENIED, WEAVE_ETCD_MISSING.
     */
    connect(peers: readonly string[], options?: { replace?: boolean | undefined }): Promise<void>;
    /** Connects to these no more; what has joined stays so. */
    forget(peers: readonly string[]): Promise<void>;
    /** Whom this host was told to connect to. */
    targets(): Promise<ConnectTarget[]>;
    /** The paths to hosts that share a network with this one. */
    connections(): Promise<Connection[]>;
    /**
     * Makes a directory that was lost anew from what hosts know, and the store that they run for it where that was lost
     * too; the others follow by themselves. WEAVE_INVALID_REQUEST where nothing of what they run is lost.
     */
    rebuild(): Promise<void>;
  };
  readonly engine: {
    /** Everything an engine knows: what was missed is caught up with, what the engine has not any more goes. */
    report(snapshot: EngineSnapshot): Promise<void>;
    /** A container started, or joined a network: its endpoints get its name, what was attached to it is so again. */
    started(container: EngineContainer): Promise<void>;
    /** A container does not run any more: nobody calls it. */
    ended(container: string): Promise<void>;
    /** The name of a network that the engine made: its driver protocol does not tell. Unknown ids are a success. */
    named(network: string, name: string): Promise<void>;
    /** A container was removed: its addresses are free. */
    removed(container: string): Promise<void>;
    /** What a report of this would change. */
    compare(snapshot: EngineSnapshot): Promise<Difference[]>;
  };
  status(): Promise<Status>;
  /** That, and all that {@link Weave.cluster} tells, at once. */
  overview(): Promise<Overview>;
  /** Compares the records with the kernel, the store and, in the daemon, the engine. With `fix` they are made to agree. */
  check(options?: { fix?: boolean }): Promise<Check>;
  /** From the moment of the call, until the iterator is returned or Weave is closed. */
  events(): AsyncIterableIterator<WeaveEvent>;
  /** Removes every network, endpoint and record, and whatever of ours is in the kernel; then closes. */
  reset(): Promise<void>;
  close(): Promise<void>;
}
