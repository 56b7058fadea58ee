/** A host that this one was told to connect to. */
export interface ConnectTarget {
  /** As it was given. */
  address: string;
  /** `together`: of one cluster now. `refused`: it answers, and says no. Both `waiting` and `trying` go on. */
  state: 'trying' | 'waiting' | 'together' | 'refused';
  /** What was in the way when it was last tried. */
  problem?: string;
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
  /** How often it was reachable, and then was not. */
  terminations: number;
  /** VXLAN packets and their bytes, with IP headers. */
  sent: { packets: number; bytes: number };
  received: { packets: number; bytes: number };
}
