import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Change, SELF } from '@weave/core';
import { memoryDatapath, memoryFirewall, memoryStore } from '@weave/core/testing';
import { type Test, t } from 'tap';
import { open, type Weave } from '../../src/index.ts';
import { inOwnNamespace } from '../own-namespace.ts';

const ID = 'a'.repeat(32);

/** A host of these records that nobody has connected. */
async function hostOf(t: Test, records: readonly Change[]): Promise<{ weave: Weave; again(): Promise<Weave> }> {
  const stateDir = mkdtempSync(join(tmpdir(), 'weave-sharing-'));
  const store = memoryStore();
  store.append(records);
  const opened: Weave[] = [];
  const start = async (from = store) => {
    const weave = await open({
      ...{ stateDir, store: from, datapath: memoryDatapath(), firewall: memoryFirewall() },
      ...{ switchFilter: memoryFirewall(), sharing: { managed: {} } },
    });
    opened.push(weave);
    return weave;
  };
  t.teardown(async () => {
    for (const each of opened) await each.close();
    rmSync(stateDir, { recursive: true });
  });
  return {
    weave: await start(),
    async again() {
      await opened.pop()?.close();
      return start(memoryStore());
    },
  };
}

const self = async (weave: Weave) => (await weave.cluster.peers()).find((peer) => peer.self)?.id;
const member: Change[] = [
  { table: 'self', id: SELF, record: { peer: ID, cluster: 'x', incarnation: 'y', store: 'z' } },
  { table: 'peer', id: ID, record: { id: ID, name: 'h' } },
];

await inOwnNamespace(import.meta.filename, async () => {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);

  t.test('who was the only one of a cluster that is no more is alone', async (t) => {
    const { weave } = await hostOf(t, member);
    t.equal(await self(weave), ID);
    await weave.networks.create({ name: 'blue', subnets: [{ cidr: '10.3.0.0/24' }] });
    t.ok((await weave.networks.list()).some(({ name }) => name === 'blue'));
  });

  t.test('whose records are lost is the host that it was', async (t) => {
    const { weave, again } = await hostOf(t, []);
    const before = await self(weave);
    t.equal(await self(await again()), before);
  });

  t.test('who was of it with others is not', async (t) => {
    const { weave } = await hostOf(t, [...member, { table: 'peer', id: 'b', record: { id: 'b', name: 'other' } }]);
    await t.rejects(weave.networks.create({ name: 'blue' }), { code: 'WEAVE_DIRECTORY_UNREACHABLE' });
  });
});
