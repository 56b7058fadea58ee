import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Host } from '../../src/index.ts';
import type { Place } from './verbs.ts';

export interface Seen {
  kernel: string;
  records: string;
}

/** By programs that are not ours, and from the store's file. What is drawn by lot or by the clock is left out. */
export async function look({ host }: Place): Promise<Seen> {
  const inside = 'nsenter --net=/run/weave/netns';
  const script =
    `{ ip -o -d link; ip -o addr; ip route; ip -6 route; nft list ruleset; echo == switch; ${inside} ip -o -d link;
    ${inside} bridge fdb show | grep dst; echo == a; ip netns exec a sh -c 'ip -o -d link; ip -o addr; ip route; ip -6 route'; }
    | grep -v fe80: | sed -E 's/^[0-9]+: //; s/@[^:]*:/:/; s/ (link-netnsid|if|peer_ifindex) ?[0-9]+//g; s/ state [A-Z]+//; s/NO-CARRIER,|,LOWER_UP//g;
      s/link-netns [^ ]+//; s/ (parentbus|numtxqueues|promiscuity|hello_timer|timer) .*//;
      s/^(w[vu][a-z0-9]*.*) link\\/ether.*/\\1/; s/link\\/ether [0-9a-f:]+ //;
      s/\\b(weavegw|w[bvuxh])[a-z0-9]{6,}/\\1#/g' | sort`.replaceAll('\n', ' ');
  const kernel = (await host.exec(script, { allowFail: true })).stdout;
  return { kernel, records: recordsOf(host) };
}

/** Out of a copy of the file, as the daemon keeps it locked. */
function recordsOf(host: Host): string {
  const dir = mkdtempSync(join(tmpdir(), 'weave-records-'));
  try {
    for (const name of ['weave.db', 'weave.db-wal'])
      cpSync(host.path(`/var/lib/weave/${name}`), join(dir, name), { force: true });
    const db = new DatabaseSync(join(dir, 'weave.db'));
    const rows = db.prepare('SELECT kind, id, value FROM record').all();
    db.close();
    return rows
      .map((row) => Object.values(row).join(' '))
      .map((text) => text.replace(/[0-9a-f]{64}|[0-9a-f]{32}/g, '#').replace(/"(vni|created|id)":"?\d+"?/g, '$1'))
      .sort()
      .join('\n');
  } finally {
    rmSync(dir, { recursive: true });
  }
}
