/** What to attach: a container by name or id, a process, or the path of a network namespace. */
export type Target = { container: string } | { pid: number } | { netns: string };

export interface OnNetwork {
  /** Name or id; absent: the default network, `weave`. */
  network?: string | undefined;
}

/** What is not said stays as it was when the target is attached already. */
export interface AttachOptions extends OnNetwork {
  /** False: no route for multicast over this interface, whatever the network gives. */
  multicast?: boolean | undefined;
  /** Of a container: its own name in its /etc/hosts is its address here. */
  rewriteHosts?: boolean | undefined;
  /** Of a container: what its /etc/hosts has beside, each `name:address`. */
  addHosts?: readonly string[] | undefined;
  /** It is to have no names by this, now and later. */
  withoutDns?: boolean | undefined;
}

export interface ExposeOptions extends OnNetwork {
  /** By default others know containers by the host's address, and containers know others by it. */
  masquerade?: boolean | undefined;
  /** What the addresses are called: one label, or a name in the domain. They lose it when they are hidden. */
  name?: string | undefined;
}

export interface Attachment {
  /** 64 hex digits. */
  endpoint: string;
  network: string;
  /** The interface inside the target: `ethwe` on the default network. */
  interface: string;
  mac: string;
  /** Those that were asked for, in order, with prefix lengths. */
  addresses: string[];
}
