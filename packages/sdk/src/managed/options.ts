import { networkInterfaces } from 'node:os';
import { isWeaveError } from '@weave/core';
import type { Log } from '../log.ts';
import { findEtcd } from './etcd-process.ts';
import type { MembershipOptions } from './membership.ts';
import type { Shelf } from './record.ts';

/** Weave's ports, all TCP: to join; the cluster's etcd, for its hosts; the same, for each other. */
export const PORTS = { control: 6783, client: 6785, peer: 6786 };

export interface ManagedOptions {
  readonly stateDir: string;
  readonly peer: { readonly id: string; readonly name: string };
  /** Where other hosts reach this one: addresses or names, those first that they should try first. */
  readonly addresses: readonly string[];
  /** Whom to connect to, beside those of before; tried until it works. */
  readonly targets?: readonly string[] | undefined;
  readonly password?: string | undefined;
  readonly log: Log;
  /** Whether this host has endpoints. */
  readonly busy?: () => boolean;
  /** Absent: as WEAVE_ETCD or PATH say; empty: none. */
  readonly etcd?: string | undefined;
  readonly ports?: Partial<typeof PORTS>;
  /** Addresses to listen on; absent: all. */
  readonly bind?: readonly string[];
  /** After so long a voter that is away is replaced, if another host is there. */
  readonly graceMs?: number;
  readonly tickMs?: number;
}

const GRACE_MS = 10 * 60_000;
const TICK_MS = 5000;

/** What a host is to its cluster, from what it was told. */
export function settle(options: ManagedOptions, shelf: Shelf) {
  const { peer, addresses, bind = ['0.0.0.0'], log, password, graceMs = GRACE_MS, tickMs = TICK_MS } = options;
  const ports = { ...PORTS, ...options.ports };
  const binary = (options.etcd ?? etcdHere()) || undefined;
  const urls = (at: readonly string[], port: number) => at.map((address) => `https://${inUrl(address)}:${port}`);
  const control = addresses.map((address) => `${inUrl(address)}:${ports.control}`);
  const membership: MembershipOptions = {
    ...{ shelf, graceMs, log },
    host: { name: peer.name, control, etcd: urls(addresses, ports.peer), able: binary !== undefined },
    subject: { name: peer.id, addresses: [...new Set([...addresses, ...localAddresses()])] },
    place: {
      ...{ peer: peer.id, binary, log },
      bind: { client: urls(bind, ports.client), peer: urls(bind, ports.peer) },
      urls: { client: urls(addresses, ports.client), peer: urls(addresses, ports.peer) },
    },
  };
  return { ...membership, password, tickMs, port: ports.control };
}

function etcdHere(): string | undefined {
  try {
    return findEtcd();
  } catch (error) {
    if (isWeaveError(error)) return undefined;
    throw error;
  }
}

const inUrl = (address: string) => (address.includes(':') ? `[${address}]` : address);

/** From these it may be that this host is seen to come. */
const localAddresses = (): string[] =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ scopeid }) => !scopeid)
    .map(({ address }) => address);
