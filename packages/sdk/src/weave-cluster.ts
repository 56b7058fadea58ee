/** What Weave tells of the other hosts. */

export interface ClusterStatus {
  /** Absent before this host has joined. */
  id?: string;
  reachable: boolean;
  /** Since when that is so, in milliseconds of a clock that nobody sets. */
  since: number;
  /** Why it has not joined, or is not in step. */
  problem?: string;
}

/** How many addresses of a pool a host holds. */
export interface Holding {
  peer: string;
  /** The host's name. */
  name: string;
  /** A number that may be beyond what a double holds exactly: of IPv6. */
  addresses: string;
}

export interface PoolUse {
  cidr: string;
  /** The network's name; absent while it is being made. */
  network?: string;
  /** How many addresses there are. */
  size: string;
  holdings: Holding[];
  /** How many of this host's are in use. */
  active: number;
  /** Whether this is as it is now, or as this host last knew. */
  stale: boolean;
}

export interface PeerStatus {
  id: string;
  name: string;
  underlay?: string;
  /** Bytes. */
  mtu?: number;
  self: boolean;
  /** Whether it was heard of within the last seconds. */
  alive: boolean;
}
