import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { t } from 'tap';
import { approach, type Membership, type MembershipOptions } from '../../src/managed/membership.ts';
import { makeAuthority } from '../../src/managed/pki.ts';
import { openShelf } from '../../src/managed/record.ts';

const ID = '1'.repeat(32);

t.test('a cluster is not closed for one that does not answer', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weave-approach-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const shelf = openShelf(dir);
  shelf.putAuthority(ID, makeAuthority(ID));
  const options = {
    ...{ shelf, graceMs: 0, log: () => undefined },
    subject: { name: 'b', addresses: [] },
    host: { name: 'b', control: [], etcd: [], able: true },
    place: { peer: 'b', urls: { client: [], peer: [] }, bind: { client: [], peer: [] }, log: () => undefined },
  } as unknown as MembershipOptions;
  let closed = false;
  const closeAlone = async () => {
    closed = true;
    return true;
  };
  const pending = { id: ID, endpoints: ['https://127.0.0.1:1'], hosts: {}, epoch: 1, settled: true, secured: false };
  const current = { cluster: { settled: false }, closeAlone } as unknown as Membership;
  await t.rejects(approach(pending, current, options), {
    code: 'WEAVE_DIRECTORY_UNREACHABLE',
    message: /https:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/,
  });
  t.equal(closed, false);
});
