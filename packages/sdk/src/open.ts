import { join } from 'node:path';
import {
  type Clock,
  type Datapath,
  type Directory,
  type Firewall,
  type HostStore,
  isSame,
  isWeaveError,
} from '@weave/core';
import { createCluster } from './cluster/cluster.ts';
import type { Timers } from './cluster/timers.ts';
import { type Company, othersOf } from './company.ts';
import { kernelDatapath } from './datapath.ts';
import { provideDefault } from './default-network.ts';
import type { Engine } from './engine.ts';
import { createEvents } from './events.ts';
import { faceOf } from './face.ts';
import { hostFirewall } from './firewall.ts';
import { identified, loadState, newPeer } from './first-records.ts';
import { createHost, type Host } from './host.ts';
import { leftoverRules } from './leftover-rules.ts';
import type { Log } from './log.ts';
import { peerOn } from './managed/peer.ts';
import { RUN_DIR, STATE_DIR } from './paths.ts';
import { recover } from './recover.ts';
import type { SharingOptions } from './sharing.ts';
import { type OpenedStore, openStore } from './store.ts';
import { quietSwitch, type SwitchFilter } from './switch-filter.ts';
import type { Weave } from './weave.ts';

export interface OpenOptions {
  /** Where this host's records are kept, durably. */
  stateDir?: string;
  /** Where the switch namespace is pinned: gone with a reboot, as the kernel's state is. */
  runDir?: string;
  engine?: Engine;
  log?: Log;
  /** Replaced in tests only. */
  store?: HostStore;
  datapath?: Datapath;
  firewall?: Firewall;
  switchFilter?: SwitchFilter;
  clock?: Clock;
  timers?: Timers;
  /** What this host shares with others; absent: it is alone. Closed with Weave. */
  directory?: Directory;
  /** What this host shares by a store; see {@link SharingOptions}. */
  sharing?: Omit<SharingOptions, 'managed'> & {
    managed?: { password?: string | undefined; targets?: readonly string[] };
  };
  /**
   * What the names of containers end in, the same on every host, such as `weave.local`: then the DNS is reached from all
   * of them, for whoever answers there. Absent: they have no names. WEAVE_INVALID_OPTION.
   */
  domain?: string | undefined;
  /** What others call this host; by default its hostname. */
  name?: string | undefined;
  /**
   * Of the default network, a subnet of each family at most; by default 10.32.0.0/12 and fd77:6561:7665::/64. Where it
   * is in use, or hosts share it already, it stays as it is, and a notice says so. WEAVE_INVALID_SUBNET, WEAVE_INVALID_OPTION.
   */
  defaultSubnets?: readonly string[] | undefined;
  /** With `directory`: the address at which other hosts reach this one. */
  underlay?: string;
  /** How long a host has to be silent before the others take it for gone, in milliseconds; by default a day. */
  reclaimAfterMs?: number;
}

/**
 * Weave in this process: takes the host's store, makes the kernel match it, and answers when both agree.
 * WEAVE_STORE_LOCKED when a daemon runs (then {@link connect} to it), WEAVE_ALREADY_RUNNING when one with other records
 * does, WEAVE_PERMISSION_DENIED without root.
 */
export async function open(options: OpenOptions = {}): Promise<Weave> {
  const log: Log = options.log ?? (() => undefined);
  const opened = options.store ? { store: options.store } : openStore(join(options.stateDir ?? STATE_DIR, 'weave.db'));
  const switchPath = join(options.runDir ?? RUN_DIR, 'netns');
  let datapath: Datapath | undefined;
  try {
    datapath = options.datapath ?? kernelDatapath(switchPath);
    return await start(opened, { switchFilter: quietSwitch(switchPath), ...options, datapath }, log);
  } catch (error) {
    await datapath?.close();
    opened.store.close();
    throw error;
  }
}

type Started = OpenOptions & Required<Pick<OpenOptions, 'datapath' | 'switchFilter'>>;

async function start({ store, setAside }: OpenedStore, options: Started, log: Log): Promise<Weave> {
  const { datapath, switchFilter } = options;
  const state = loadState(store, options.sharing?.managed && peerOn(options.stateDir ?? STATE_DIR));
  const clock = options.clock ?? Date.now;
  const events = createEvents();
  const firewall = options.firewall ?? hostFirewall();
  const { emit } = events;
  const known = state.peers.get(state.self) ?? (await newPeer(state.self, datapath));
  const { underlay, name } = options;
  const self = { ...known, ...(underlay ? { underlay } : {}), ...(name ? { name } : {}) };
  const leftover = self.rebuilding && !options.firewall ? await leftoverRules() : undefined;
  const trusted = !self.rebuilding;
  const host = createHost({ state, store, datapath, firewall, switchFilter, clock, log, emit, trusted, leftover });
  if (!isSame(state.peers.get(self.id), self)) host.commit([{ table: 'peer', id: self.id, record: self }]);
  host.commit(identified(state, options.domain));
  const notices: string[] = [];
  if (setAside) {
    notices.push(
      `the host store could not be used (${setAside.reason}); it is kept as ${setAside.path}, and was begun anew`,
    );
    log('error', 'store set aside', { ...setAside });
  }
  if (!trusted)
    notices.push(
      'the records of this host were lost: they are built again from the kernel, and from an engine once it answers',
    );
  const noisy = await switchFilter.set();
  if (noisy) notices.push(noisy);
  if (!trusted) host.commit(await recover(state, datapath));
  notices.push(...(await provideDefault(host, options.defaultSubnets ?? [], trusted)));
  notices.push(...(await firstPass(host)));
  const begin = (directory: Directory, founds = true) => createCluster(host, directory, { ...options, founds });
  const company: Company = {};
  host.others = othersOf(host, company);
  if (options.directory) company.cluster = begin(options.directory);
  if (options.sharing) {
    // A host that is alone does without the code for it.
    const { share } = await import('./sharing.ts');
    const { managed, ...others } = options.sharing;
    const stateDir = options.stateDir ?? STATE_DIR;
    company.sharing = await share(
      host,
      company,
      { ...others, ...(managed ? { managed: { ...managed, stateDir } } : {}) },
      begin,
    );
  }
  const forget = async () => {
    if (options.store) return;
    const { eraseShelf } = await import('./managed/record.ts');
    await eraseShelf(options.stateDir ?? STATE_DIR);
  };
  return faceOf(host, { ...options, company, store, forget, firewall, events, notices, started: clock() });
}

/** What could not be mended. A disk that is full now keeps nothing from being served; the next pass may find room. */
async function firstPass(host: Host): Promise<string[]> {
  try {
    return (await host.reconciler.pass()).map(({ op, link = '', message }) => `${op} ${link}: ${message}`);
  } catch (error) {
    if (!isWeaveError(error) || error.code !== 'WEAVE_STORE_FAILED') throw error;
    return [`what is gone could not be forgotten: ${error.message}`];
  }
}
