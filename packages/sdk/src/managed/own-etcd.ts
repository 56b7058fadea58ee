import { join } from 'node:path';
import type { Log } from '../log.ts';
import { type EtcdProcess, type EtcdSpec, hasData, runEtcd } from './etcd-process.ts';
import type { OwnEtcd } from './members.ts';
import { type ClusterRecord, FIRST, type Shelf } from './record.ts';

export interface EtcdPlace {
  readonly peer: string;
  readonly binary: string | undefined;
  readonly bind: EtcdSpec['bind'];
  readonly urls: EtcdSpec['urls'];
  readonly log: Log;
}

export interface ClusterEtcd extends OwnEtcd {
  /** What ran here before, or what the cluster begins with, runs again. */
  resume(): void;
  readonly pid: number | undefined;
  /** Whether this host had some of the store, and it is gone. */
  readonly lost: boolean;
  end(): Promise<void>;
}

/** The etcd of this host in a cluster: its data below the cluster's folder, the membership in the record. */
export function clusterEtcd(shelf: Shelf, cluster: ClusterRecord, place: EtcdPlace): ClusterEtcd {
  const folder = shelf.folder(cluster.id);
  const dirOf = (member: string) => join(folder, `etcd-${member}`);
  /** The first one goes on under its own name. */
  const nameOf = (member: string) => (cluster.etcd === FIRST ? FIRST : member);
  let running: EtcdProcess | undefined;
  let over = false;
  let lost = false;

  function start(name: string, initialCluster: string, initialState: EtcdSpec['initialState']): void {
    lost = false;
    const { peer, binary, bind, urls, log } = place;
    if (!binary || over) return;
    const files = shelf.files(cluster.id);
    const dir = dirOf(name);
    const spec = {
      binary,
      dir,
      name: peer,
      ...files,
      bind,
      urls,
      token: `weave-${cluster.id}-${cluster.epoch}`,
      initialCluster,
      initialState,
    };
    running = runEtcd(spec, log);
  }
  const alone = () => place.urls.peer.map((url) => `${place.peer}=${url}`).join();

  return {
    resume() {
      if (cluster.founding) return start(FIRST, alone(), 'new');
      if (cluster.etcd === undefined) return;
      lost = !hasData(dirOf(cluster.etcd));
      if (lost) place.log('error', 'what this host had of the cluster’s store is lost', { cluster: cluster.id });
      else start(cluster.etcd, alone(), 'existing');
    },
    get pid() {
      return running?.pid;
    },
    get lost() {
      return lost;
    },
    hasData: (member) => hasData(dirOf(nameOf(member))),
    async run(member, initialCluster) {
      const name = nameOf(member);
      const fits = running?.spec.dir === dirOf(name);
      if (fits && (hasData(dirOf(name)) || running?.spec.initialCluster === initialCluster)) return;
      await running?.end();
      if (cluster.etcd !== name) {
        cluster.etcd = name;
        shelf.save();
      }
      start(name, initialCluster, 'existing');
    },
    async drop() {
      lost = false;
      if (cluster.etcd === undefined) return;
      await running?.end();
      running = undefined;
      shelf.forgetStore(cluster.id);
      cluster.etcd = undefined;
      shelf.save();
    },
    async end() {
      over = true;
      await running?.end();
      running = undefined;
    },
  };
}
