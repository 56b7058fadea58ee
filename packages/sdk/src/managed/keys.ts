/** What of the directory is about the cluster itself; the rest of `/weave/` is the networks'. */
export const MANAGED = '/weave/managed/';
export const CLUSTER = `${MANAGED}cluster`;
export const VOTERS = `${MANAGED}voters`;
export const HOSTS = `${MANAGED}host/`;
/** Hosts that were sent away: they may not say that they are there again. */
export const REMOVED = `${MANAGED}removed/`;
/** Leased by each host; written by whoever uses the directory. */
export const ALIVE = '/weave/alive/';

/** The part of a key after its prefix. */
export const below = (prefix: string, keys: Iterable<string>): string[] =>
  [...keys].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
