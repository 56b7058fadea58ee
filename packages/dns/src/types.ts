// What `serveNames` takes and gives.

/** A namespace is `'host'` (the process's own; the default) or the path of an nsfs file. */
export interface Listen {
  readonly netns?: string;
  /** IPv4 or IPv6; `0.0.0.0` and `::` (IPv6 only) for all of the namespace. */
  readonly address: string;
  /** 53 unless given; 0 for any. UDP and TCP have the same. */
  readonly port?: number;
}

export interface NamesOptions {
  readonly listen: readonly Listen[];
  /** `weave.local.`; with or without its final dot. */
  readonly domain?: string;
  /** Seconds, of each record and of "there is none"; 1. */
  readonly ttl?: number | undefined;
  /** Several addresses: shuffled (default), or those of this host first, then the rest, each shuffled. */
  readonly order?: 'shuffled' | 'local-first' | undefined;
  /** Where the host's upstreams are written; `/etc/resolv.conf`. */
  readonly resolvConf?: string;
  /** Never asked, whatever resolv.conf says: addresses under which this server is reached from the host. */
  readonly own?: readonly string[];
  /** ms for each try at an upstream (2000), and for all of them together (5000). */
  readonly tryFor?: number;
  readonly giveUpAfter?: number;
  /** What went wrong with upstreams or resolv.conf, for the log. */
  readonly warn?: (message: string) => void;
}

/** A network, so that who asks from one of its addresses is known to be on it. */
export interface NetworkRecord {
  readonly id: string;
  /** CIDRs of both families. Reverse questions for addresses in them are never forwarded. */
  readonly subnets: readonly string[];
}

/** One name of one endpoint. Any number of them may have the same name: an alias, a Compose service. */
export interface NameRecord {
  /** Yours: unique, stable. Putting the same id again replaces it. E.g. `${endpoint id}/${name}`. */
  readonly id: string;
  /** `web` or `web.weave.local`, `web.sub.weave.local.`: one label, or in the domain. See `qualify`. Case is kept, and ignored. */
  readonly name: string;
  /** The network that the addresses are on: told only to who is on it (and to who is on none). Absent: told to everyone. */
  readonly network?: string;
  /** IPv4 and IPv6, without prefix length. */
  readonly addresses: readonly string[];
  /** On this host; matters for `order: 'local-first'` only. */
  readonly local?: boolean;
  /** For SRV: `_http._tcp.web` or `_80._tcp.web`, and `web` for all of them. */
  readonly ports?: readonly Port[];
}

export interface Port {
  readonly port: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** `http` */
  readonly service?: string;
}

/**
 * Who asks. Needed ONLY for endpoints of containers that are on more than one network: an address inside a network's
 * subnet is on that network without being told of here. An address in no subnet and not told of here sees all names.
 */
export interface AskerRecord {
  readonly address: string;
  readonly networks: readonly string[];
}

/** All that is known. PTR answers with the name that was put first, so put an endpoint's own name before its aliases. */
export interface Records {
  readonly networks?: readonly NetworkRecord[];
  readonly names?: readonly NameRecord[];
  readonly askers?: readonly AskerRecord[];
}

/** First what is gone goes, then what is put is put; nobody is answered from in between. */
export interface Changes extends Records {
  readonly gone?: {
    readonly networks?: readonly string[]; // ids
    readonly names?: readonly string[]; // ids
    readonly askers?: readonly string[]; // addresses
  };
}

export interface Names extends AsyncDisposable {
  /** Lower case, with its final dot. */
  readonly domain: string;
  /** As asked for, with the ports that were had. */
  readonly listening: readonly Required<Listen>[];
  /** At once, synchronously; costs what it changes. Throws WEAVE_BAD_... on what is no name, address or subnet: then nothing was changed. */
  update(changes: Changes): void;
  /** Instead of all that was known: after a gap. As atomic as `update`. */
  replace(records: Records): void;
  /** The addresses that `asker` (an address; absent: one who sees all) would be told, both families, in no order. */
  lookup(name: string, asker?: string): string[];
  stats(): NamesStats;
  close(): Promise<void>;
}

export interface NamesStats {
  readonly names: number;
  readonly answered: number;
  readonly forwarded: number;
  readonly malformed: number;
  readonly dropped: number;
  readonly truncated: number;
  readonly tcpConnections: number;
}
