import { address as addressOf, formatAddress } from '@weave/core';
import type { Log } from '../log.ts';
import { echoOf, LEAST, parse, probeOf } from './message.ts';
import { Path, type PathState } from './path.ts';
import type { Outcome, Timing } from './timing.ts';
import { headersTo, PROBE_PORT, udpWire, type Wire } from './wire.ts';

export interface UnderlayPeer {
  id: string;
  /** On the underlay, without prefix length. */
  address: string;
}

/** What is known of the way to a peer and back. */
export interface UnderlayPath {
  peer: string;
  address: string;
  /** Both ways: of one that is cut in one direction nothing comes back. */
  state: PathState;
  /** The largest packet, with its IP header, that gets there whole; kept while unreachable. Absent: not known, or below 1280. */
  mtu?: number;
  /** Smoothed. */
  rttMs?: number;
  minRttMs?: number;
  /** How often a probe was not answered in time while there was a way, since the peer is listed; not those that were too large. */
  lost: number;
  /** Of the last fifty probes: how many were not answered in time. 1 while unreachable. */
  lossRatio: number;
  /** Milliseconds since 1970: when the state became this. */
  since: number;
  /** How often it became unreachable, since the peer is listed. */
  terminations: number;
}

export interface UnderlayPaths {
  /** Whom to probe: those that share a network with us, and nobody else. Only they are answered. */
  setPeers(peers: readonly UnderlayPeer[]): void;
  paths(): UnderlayPath[];
  /** When a path's state or MTU changes; until it is ended. */
  onChange(tell: (path: UnderlayPath) => void): () => void;
  close(): void;
}

export interface UnderlayPathsOptions {
  /** Our own addresses on the underlay: one of a family. */
  local: readonly string[];
  log: Log;
  /** Replaced in tests only. */
  wire?: Wire;
  timing?: Timing;
}

interface Known extends UnderlayPeer {
  path: Path;
  state: PathState;
  since: number;
  terminations: number;
}

const BEAT_MS = 1700;
/** Waking up costs more than a probe. */
const SLOT_MS = 500;
/** Of all paths together, between two regular probes: what bounds the cost however many there are. */
const SPACING_MS = 20;
/** An echo that takes longer is nobody's. */
const PATIENCE_MS = 10_000;

/** Finds out which of these peers are reached, by which round trip and with packets of which size. */
export function underlayPaths(options: UnderlayPathsOptions): UnderlayPaths {
  const { local, log, timing = realTiming, wire = udpWire(local, PROBE_PORT, log) } = options;
  const known = new Map<string, Known>();
  const byAddress = new Map<string, Known[]>();
  const pending = new Map<string, { sent: number; answered: Outcome['answered'] }>();
  const listeners = new Set<(path: UnderlayPath) => void>();

  function probe(to: string, size: number | undefined, { answered, refused }: Outcome): void {
    const sent = timing.now();
    for (const [old, { sent: then }] of pending) {
      if (sent - then < PATIENCE_MS) break;
      pending.delete(old);
    }
    const { nonce, message } = probeOf(size === undefined ? LEAST : size - headersTo(to));
    pending.set(nonce, { sent, answered });
    wire.send(message, to, refused);
  }

  function add({ id, address }: UnderlayPeer): void {
    const path = new Path(
      {
        ...timing,
        send: (size, outcome) => probe(address, size, outcome),
        jittered: (ms) => ms * (0.8 + 0.4 * timing.random()),
        aligned: (ms) => Math.ceil((timing.now() + ms) / SLOT_MS) * SLOT_MS - timing.now(),
        beatMs: () => Math.max(BEAT_MS, known.size * SPACING_MS),
        changed: () => changed(entry),
      },
      timing.random() * Math.min(BEAT_MS, known.size * SPACING_MS),
    );
    const entry: Known = { id, address, path, state: path.state, since: Date.now(), terminations: 0 };
    known.set(keyOf(entry), entry);
  }

  function changed(entry: Known): void {
    const { path, state, id, address } = entry;
    if (path.state !== state) {
      if (state === 'reachable') entry.terminations++;
      Object.assign(entry, { state: path.state, since: Date.now() });
      log(path.state === 'unreachable' ? 'warn' : 'info', `a peer is ${path.state}`, { peer: id, address });
    }
    for (const tell of [...listeners]) tell(shown(entry));
  }

  wire.listen((message, from) => {
    const heard = parse(message);
    if (!heard) return;
    if (heard.isEcho) {
      const probed = pending.get(heard.nonce);
      pending.delete(heard.nonce);
      return probed?.answered(timing.now() - probed.sent);
    }
    const peers = byAddress.get(from);
    if (!peers) return;
    wire.send(echoOf(heard.nonce), from, () => undefined);
    for (const { path } of peers) path.heard();
  });

  return {
    setPeers(peers) {
      const wanted = peers.map(({ id, address }) => ({ id, address: formatAddress(addressOf(address)) }));
      const keys = new Set(wanted.map(keyOf));
      for (const [key, { path }] of known) {
        if (keys.has(key)) continue;
        path.close();
        known.delete(key);
      }
      for (const peer of wanted) if (!known.has(keyOf(peer))) add(peer);
      byAddress.clear();
      for (const entry of known.values())
        byAddress.set(entry.address, [...(byAddress.get(entry.address) ?? []), entry]);
    },
    paths: () => [...known.values()].map(shown),
    onChange(tell) {
      listeners.add(tell);
      return () => listeners.delete(tell);
    },
    close() {
      for (const { path } of known.values()) path.close();
      known.clear();
      byAddress.clear();
      listeners.clear();
      wire.close();
    },
  };
}

const keyOf = ({ id, address }: UnderlayPeer) => `${id} ${address}`;

function shown({ id, address, path, state, since, terminations }: Known): UnderlayPath {
  const { rttMs, minRttMs, lossRatio, lost } = path.record;
  return {
    ...{ peer: id, address, state, since, terminations, lost, lossRatio: state === 'unreachable' ? 1 : lossRatio },
    ...(path.mtu === undefined ? {} : { mtu: path.mtu }),
    ...(rttMs === undefined ? {} : { rttMs, minRttMs: minRttMs! }),
  };
}

const realTiming: Timing = {
  now: () => performance.now(),
  random: Math.random,
  after(ms, work) {
    const timer = setTimeout(work, ms).unref();
    return () => clearTimeout(timer);
  },
};
