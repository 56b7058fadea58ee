import { randomBytes, randomInt } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Credentials } from './etcd-api.ts';
import { endEtcds } from './etcd-process.ts';
import { readIfThere, writeDurably } from './files.ts';
import { recordIn, shelfIn } from './peer.ts';
import { covers, type Identity, makeAuthority, makeIdentity, type Subject } from './pki.ts';

/** The membership that a cluster begins with: etcd names it only when it runs. */
export const FIRST = 'first';

/** A cluster that this host is of, or is about to be of. */
export interface ClusterRecord {
  readonly id: string;
  /** Where its etcd was last known to answer. */
  endpoints: string[];
  /** Where each host's control port is. */
  hosts: Record<string, string[]>;
  /** Grows each time that its store is begun anew: an older one is not it any more. See {@link epochAfter}. */
  epoch: number;
  /** Hosts of it that may not know yet that the store was begun anew, and where their control ports are. */
  untold?: Record<string, string[]> | undefined;
  /** Begun here, and not yet written down in its own etcd. */
  founding?: boolean;
  /** Begun here: what this host has is brought into it first. */
  begun?: boolean;
  /** Another host is of it too. */
  settled: boolean;
  /** Joined with a password: nobody is let in without. */
  secured: boolean;
  /** This host was sent away, and waits for somebody to say what it shall do. */
  removed?: boolean;
  /** The membership that this host's etcd has the data of. */
  etcd?: string | undefined;
}

/** `from`: the host that let this one in. */
export type PendingRecord = ClusterRecord & { readonly from: string };

export interface ManagedRecord {
  /** This host, also for when its records are lost. */
  peer?: string;
  /** Whom this host shall connect to. */
  targets: string[];
  current?: ClusterRecord | undefined;
  /** Let in, and perhaps written down there: it is this one's or nobody's until that is known. */
  pending?: PendingRecord | undefined;
}

/** What this host remembers of its cluster, in files for root only. */
export interface Shelf {
  readonly record: ManagedRecord;
  save(): void;
  folder(id: string): string;
  putAuthority(id: string, authority: Identity): void;
  authority(id: string): Identity;
  /** This host's certificate in that cluster, made or made anew where it does not say what it should. */
  credentials(id: string, subject: Subject): Credentials;
  files(id: string): { ca: string; cert: string; key: string };
  /** This host's own, signed by nobody else: what the control port shows. */
  self(name: string): Identity;
  forget(id: string): void;
  /** What etcd has on this host. */
  forgetStore(id: string): void;
}

/** All of it goes, and what runs on it. */
export async function eraseShelf(stateDir: string): Promise<void> {
  const root = shelfIn(stateDir);
  await endEtcds(root);
  rmSync(root, { recursive: true, force: true });
}

export function openShelf(stateDir: string): Shelf {
  const root = shelfIn(stateDir);
  const file = recordIn(stateDir);
  const stored = readIfThere(file);
  const record: ManagedRecord = stored ? JSON.parse(stored) : { targets: [] };
  const folder = (id: string) => join(root, id);
  const paths = (dir: string, name: string) => ({ cert: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) });

  const shelf: Shelf = {
    record,
    save: () => writeDurably(file, JSON.stringify(record, undefined, 1)),
    folder,
    putAuthority: (id, authority) => writeIdentity(paths(folder(id), 'ca'), authority),
    authority: (id) => readIdentity(paths(folder(id), 'ca'))!,
    credentials(id, subject) {
      const authority = shelf.authority(id);
      const at = paths(folder(id), 'host');
      let identity = readIdentity(at);
      if (!identity || !covers(identity, subject, authority)) {
        identity = makeIdentity({ ...subject, key: readIfThere(at.key) }, authority);
        writeIdentity(at, identity);
      }
      return { ...identity, ca: authority.cert };
    },
    files: (id) => ({ ...paths(folder(id), 'host'), ca: paths(folder(id), 'ca').cert }),
    self(name) {
      const at = paths(root, 'control');
      const stored = readIdentity(at);
      if (stored) return stored;
      const identity = makeIdentity({ name, addresses: [] });
      writeIdentity(at, identity);
      return identity;
    },
    forget: (id) => rmSync(folder(id), { recursive: true, force: true }),
    forgetStore(id) {
      for (const name of readdirSync(folder(id)))
        if (name.startsWith('etcd-')) rmSync(join(folder(id), name), { recursive: true, force: true });
    },
  };
  return shelf;
}

/** A cluster that begins here: what it needs before its etcd runs, on disk. */
export function newCluster(shelf: Shelf, endpoints: readonly string[], secured: boolean): ClusterRecord {
  const id = randomBytes(16).toString('hex');
  shelf.putAuthority(id, makeAuthority(id));
  const cluster = { id, epoch: 1, endpoints: [...endpoints], hosts: {}, secured };
  shelf.record.current = { ...cluster, etcd: FIRST, founding: true, begun: true, settled: false };
  shelf.save();
  return shelf.record.current;
}

const EPOCHS = 2 ** 32;

/**
 * Later than this one, and by chance one of many: hosts that begin the store anew at once, as neither hears of the
 * other, begin two, and all hosts that hear of both turn to the same one.
 */
export const epochAfter = (epoch: number): number => (Math.floor(epoch / EPOCHS) + 1) * EPOCHS + randomInt(EPOCHS);

interface IdentityFiles {
  cert: string;
  key: string;
}

/** The key first: a certificate never stands there without it. */
function writeIdentity(at: IdentityFiles, { cert, key }: Identity): void {
  if (readIfThere(at.key) !== key) writeDurably(at.key, key);
  writeDurably(at.cert, cert);
}

function readIdentity(at: IdentityFiles): Identity | undefined {
  const cert = readIfThere(at.cert);
  const key = readIfThere(at.key);
  return cert && key ? { cert, key } : undefined;
}
