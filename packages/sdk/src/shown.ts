import type { Service } from '@weave/core';

/** What is shown of other hosts, and of names. */

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

export interface Connection {
  peer: string;
  /** The host's name. */
  name: string;
  address: string;
  state: 'probing' | 'reachable' | 'unreachable';
  /** Milliseconds since 1970: when it became so. */
  since: number;
  /** Bytes: the largest packet that gets there whole. */
  mtu?: number;
  rttMs?: number;
  /** Of the last probes. */
  lossRatio: number;
  /** VXLAN packets and their bytes, with IP headers. */
  sent: { packets: number; bytes: number };
  received: { packets: number; bytes: number };
}

/** A name, by what it is reached. */
export interface NameEntry {
  /** Of this name and of what has it. */
  id: string;
  /** Lower case, with the domain, without the final dot. */
  name: string;
  /** Without prefix lengths. */
  addresses: string[];
  /** The id of the network that they are on; absent: they were given by hand. */
  network?: string;
  /** The host that tells of it. */
  peer: string;
  container?: string;
  services?: readonly Service[];
}

/** What a name is given to, or taken from: addresses, those of a container, or some of these. */
export interface NameTarget {
  addresses?: readonly string[] | undefined;
  /** By name or id. */
  container?: string | undefined;
  /** One label, or in the domain. Absent: the container's own; for taking away, all. */
  name?: string | undefined;
}
