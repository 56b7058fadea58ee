import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

const LOOK_AGAIN_MS = 1000;
const WILDCARDS = ['0.0.0.0', '::'];

export interface UpstreamsOptions {
  readonly path: string;
  /** Addresses under which we are reached: to ask there would go round in circles. */
  readonly own: readonly string[];
  readonly warn: (message: string) => void;
}

/** The servers of a resolv.conf, in its order, read again when the file is another. */
export function readUpstreams({ path, own, warn }: UpstreamsOptions): () => readonly string[] {
  let upstreams: readonly string[] = [];
  let seen: string | undefined;
  let lookAgainAt = 0;
  return () => {
    const now = performance.now();
    if (now < lookAgainAt) return upstreams;
    lookAgainAt = now + LOOK_AGAIN_MS;
    const version = versionOf(path);
    if (version === seen) return upstreams;
    seen = version;
    try {
      const ours = isOurs(own);
      upstreams = nameservers(readFileSync(path, 'utf8')).filter((address) => !ours(address));
    } catch (error) {
      // What was read before still is the best that is known.
      warn(`${path}: ${(error as Error).message}`);
    }
    return upstreams;
  };
}

function versionOf(path: string): string {
  try {
    const { ino, mtimeMs, size } = statSync(path);
    return `${ino} ${mtimeMs} ${size}`;
  } catch {
    return 'absent';
  }
}

function nameservers(content: string): string[] {
  const found = content.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm);
  return [...new Set([...found].map(([, address]) => address ?? '').filter(isIP))];
}

function isOurs(own: readonly string[]): (address: string) => boolean {
  const everywhere = own.some((address) => WILDCARDS.includes(address));
  const links = everywhere ? Object.values(networkInterfaces()).flatMap((link) => link ?? []) : [];
  const ours = new Set([...own, ...links.map(({ address }) => address)]);
  return (address) => ours.has(address);
}
