import { type Cidr, cidr } from './address.ts';
import type { Pool } from './model.ts';

/** What a pool's cells follow from: what it is, and what it was before it grew, the smallest first. */
export interface Grid {
  readonly cidr: Cidr;
  readonly grownFrom: readonly Cidr[];
}

/** A pool with what is taken of it, for the allocator. */
export interface PoolIndex extends Grid {
  /** Who holds an address: an endpoint's id, or '' where an engine does. */
  readonly taken: Map<bigint, string>;
  /** Nothing below it is free; see `ipam.ts`. */
  lowest: bigint;
  /** This host's own, in order; see `cells.ts`. */
  cells: readonly Cidr[];
}

export const gridOf = (pool: Pool): Grid => ({ cidr: cidr(pool.cidr), grownFrom: (pool.grownFrom ?? []).map(cidr) });
