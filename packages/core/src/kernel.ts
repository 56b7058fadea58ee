/** The kernel state that Weave manages, in rtnetlink's own terms. `@weave/native` speaks the same shapes. */

/** Our own namespace, which holds every bridge, VXLAN device and port: "the switch". */
export const SWITCH = 'switch';
/** The namespace that the daemon and the engine run in. */
export const HOST = 'host';

/** `switch`, `host`, or the path of an nsfs file. */
export type Netns = string;

/** What desired state is made of. Applied as an operation, each makes the kernel so; what is so already is a success. */
export type Resource =
  | { op: 'setSysctl'; netns: Netns; key: string; value: string; ifPresent?: boolean }
  | { op: 'addBridge'; netns: Netns; name: string; mac: string; mtu: number; alias?: string }
  /**
   * As a port of its bridge it learns nothing, is isolated, and is not flooded with ARP and ND for what the bridge has
   * neighbours of: that is answered.
   */
  | {
      op: 'addVxlan';
      netns: Netns;
      name: string;
      vni: number;
      port: number;
      mtu: number;
      master: string;
      local?: string;
    }
  | {
      op: 'addVeth';
      netns: Netns;
      name: string;
      mtu: number;
      master?: string;
      up: boolean;
      /** Its near end exchanges no frames with other isolated ports of its bridge. */
      isolated?: boolean;
      peer: VethPeer;
    }
  | { op: 'addAddress'; netns: Netns; link: string; address: string }
  /** `ifAbsent`: a route for this destination over another link is a success too. */
  | { op: 'addRoute'; netns: Netns; link: string; destination: string; gateway?: string; ifAbsent?: boolean }
  | { op: 'addNeighbour'; netns: Netns; link: string; address: string; mac: string }
  /**
   * Where a VXLAN device sends frames for a MAC, and that its bridge sends them to it. The all-zero MAC is for what else
   * is flooded: it has any number of destinations, all other MACs have one. Without a destination: that a bridge sends
   * frames for a MAC to this port.
   */
  | { op: 'addFdb'; netns: Netns; link: string; mac: string; destination?: string };

export interface VethPeer {
  netns: Netns;
  name: string;
  mtu: number;
  mac?: string;
  /** A bridge in the peer's own namespace. */
  master?: string;
  up: boolean;
  /** Where an engine takes it; it is nobody's but the engine's how it is called there. */
  goesTo?: Netns;
}

export type Op =
  | Resource
  | { op: 'setLink'; netns: Netns; name: string; up?: boolean; mtu?: number; mac?: string; master?: string }
  /**
   * A pair's other end, by whatever name, in `peer` or still in the host. ENODEV: it is in neither. Its MTU; and the
   * prefix length of an address, where it has that with another one: what uses it goes on.
   */
  | { op: 'setPeer'; netns: Netns; name: string; mtu?: number; address?: string; peer: Netns }
  /** Answers when the link is gone. */
  | { op: 'deleteLink'; netns: Netns; name: string }
  /** Answers at once: the link carries nothing any more, its name is free, and it is reaped soon after. */
  | { op: 'retireLink'; netns: Netns; name: string }
  | { op: 'deleteAddress'; netns: Netns; link: string; address: string }
  | { op: 'deleteRoute'; netns: Netns; link: string; destination: string; gateway?: string }
  | { op: 'deleteNeighbour'; netns: Netns; link: string; address: string; mac: string }
  | { op: 'deleteFdb'; netns: Netns; link: string; mac: string; destination?: string }
  /** Gratuitous ARP or an unsolicited neighbour advertisement on a bridge's network, soon after; best effort. */
  | { op: 'announce'; netns: Netns; link: string; bridge: string; address: string };

/** What stopped a batch. */
export interface Failure {
  index: number;
  op: string;
  errno: number;
  /** `EEXIST`, … */
  code: string;
  netns?: string;
  link?: string;
  message: string;
}

export interface Applied {
  /** How many operations of the batch were done. */
  done: number;
  failed?: Failure;
}

/** What may have been lost since the last time, by whosever doing: not what was added, nor how else a link is set. */
export interface Changed {
  /** Links of the switch that came, went or are down; or something went from them, or from the far ends of their pairs. */
  links: string[];
  /** `host`, `switch`: their packet filter was changed. */
  filters: Netns[];
  /** Something was missed: anything may have changed. */
  lost: boolean;
}

export interface Query {
  netns: Netns;
  /** Only these links, with what is on them, and all routes; absent: everything in the namespace. */
  links?: string[];
  /** Keys below /proc/sys to read. */
  sysctls?: string[];
}

export interface ObservedLink {
  name: string;
  kind: string;
  mac: string;
  mtu: number;
  up: boolean;
  master?: string;
  vni?: number;
  /** Of a VXLAN device: its address on the underlay. */
  local?: string;
  /** Of a bridge's port, where it is so: it learns nothing, and is not flooded with ARP and ND for known neighbours. */
  quiet?: boolean;
  /** Of a bridge's port, where it is so. */
  isolated?: boolean;
  alias?: string;
  /** In its own namespace; those of other namespaces repeat it. */
  index?: number;
  /** Of a veth: the index of its other end, in that end's namespace. */
  peerIndex?: number;
  /** Of a veth of the switch: the MTU of its other end, wherever that is. */
  peerMtu?: number;
}

export interface Observed {
  netns: Netns;
  /** `ENOENT` when the namespace is gone; the lists are empty then. */
  code?: string;
  links: ObservedLink[];
  addresses: { link: string; address: string }[];
  routes: { link?: string; destination: string; gateway?: string }[];
  neighbours: { link: string; address: string; mac: string; permanent: boolean }[];
  /** Of VXLAN devices; without a destination, what the bridge of that port was given. */
  fdb: { link: string; mac: string; destination?: string }[];
  /** Those that were asked for and exist. */
  sysctls: { key: string; value: string }[];
}
