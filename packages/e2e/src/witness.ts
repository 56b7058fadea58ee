import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from './host.ts';

/**
 * What the kernel of a host shows to programs that are not ours: links, addresses, routes, neighbours, FDB and packet
 * filter of its own namespace, without counters and ages.
 */
export async function witness(host: Host): Promise<Record<string, string[]>> {
  const commands = {
    links: 'ip -j link',
    addresses: 'ip -j addr',
    routes: 'ip -j route; ip -j -6 route',
    // What the engine's bridges and the uplink remember of who spoke is theirs, and ages.
    neighbours: 'ip -j neigh show nud permanent; ip -j -6 neigh show nud permanent',
    fdb: 'bridge -j fdb',
    filter: 'nft -j list ruleset',
  };
  const seen: Record<string, string[]> = {};
  for (const [what, command] of Object.entries(commands)) seen[what] = lines((await host.exec(command)).stdout);
  return seen;
}

/** What a host shows once it shows `wanted`, or else what it still shows after 15 s: engine and kernel tidy up behind us. */
export async function settled<T>(read: () => Promise<T>, wanted: T): Promise<T> {
  for (const end = Date.now() + 15_000; ; ) {
    const seen = await read();
    if (Date.now() > end || JSON.stringify(seen) === JSON.stringify(wanted)) return seen;
    await sleep(100);
  }
}

/** What a host shows once it has shown the same for a second: `docker_gwbridge` loses its carrier after its last port. */
export async function quiet<T>(read: () => Promise<T>): Promise<T> {
  let seen = await read();
  for (let same = 0; same < 10; ) {
    await sleep(100);
    const next = await read();
    same = JSON.stringify(next) === JSON.stringify(seen) ? same + 1 : 0;
    seen = next;
  }
  return seen;
}

/** Each object of the listings on a line of its own, without what changes by itself. */
function lines(json: string): string[] {
  const documents = json
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((text) => JSON.parse(text));
  const objects = documents.flatMap((d) => (Array.isArray(d) ? d : d.nftables)) as object[];
  return objects
    .filter((object) => !('metainfo' in object))
    .map((object) => JSON.stringify(object, (key, value) => (VOLATILE.has(key) ? undefined : value)))
    .sort();
}

const VOLATILE = new Set([
  'ifindex',
  'link_index',
  'valid_life_time',
  'preferred_life_time',
  'packets',
  'bytes',
  'handle',
  'expires',
  'tentative',
  'optimistic',
]);

/** The names of the links in the switch namespace. */
export async function switchLinks(host: Host): Promise<string[]> {
  const { stdout } = await host.exec('nsenter --net=/run/weave/netns ip -j link');
  return (JSON.parse(stdout) as { ifname: string }[]).map((link) => link.ifname).sort();
}
