import type { Service } from '@weave/core';

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
