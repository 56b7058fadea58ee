import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { t } from 'tap';
import { clusterEtcd, type EtcdPlace } from '../../src/managed/own-etcd.ts';
import { newCluster, openShelf } from '../../src/managed/record.ts';

t.test('what was lost is said to be until it is given up', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weave-etcd-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const shelf = openShelf(dir);
  const cluster = Object.assign(newCluster(shelf, [], false), { founding: false });
  const etcd = clusterEtcd(shelf, cluster, { log: () => undefined } as unknown as EtcdPlace);
  etcd.resume();
  t.equal(etcd.lost, true);
  await etcd.drop();
  t.equal(etcd.lost, false);
  etcd.resume();
  t.equal(etcd.lost, false, 'nor is there anything to lose any more');
});
