import { type Change, DNS_ADDRESS, type Firewall } from '@weave/core';
import { check } from './check.ts';
import { every, realTimers, type Timers } from './cluster/timers.ts';
import { type Company, leave } from './company.ts';
import { mendDrift } from './drift.ts';
import { dockerEngine, type Engine } from './engine.ts';
import type { createEvents } from './events.ts';
import type { Host } from './host.ts';
import { inBackground } from './log.ts';
import { overviewOf } from './overview.ts';
import type { OpenedStore } from './store.ts';
import { attachVerbs } from './verbs/attach.ts';
import { bridgeVerbs } from './verbs/bridges.ts';
import { clusterVerbs } from './verbs/cluster.ts';
import { endpointVerbs } from './verbs/endpoints.ts';
import { engineVerbs } from './verbs/engine.ts';
import { exposeVerbs } from './verbs/expose.ts';
import { nameVerbs } from './verbs/names.ts';
import { networkVerbs } from './verbs/networks.ts';
import { poolVerbs } from './verbs/pools.ts';
import { VERSION } from './version.ts';
import type { Weave } from './weave.ts';

/** What others broke in the meantime is mended. */
export const PASS_MS = 60_000;

interface Rest {
  engine?: Engine | undefined;
  timers?: Timers | undefined;
  company: Company;
  store: OpenedStore['store'];
  /** Removes what is kept of a cluster. */
  forget(): Promise<void>;
  firewall: Firewall;
  events: ReturnType<typeof createEvents>;
  notices: string[];
  started: number;
}

/** {@link Weave} of a host that has started. */
export function faceOf(
  host: Host,
  { company, store, forget, firewall, events, notices, started, engine, timers }: Rest,
): Weave {
  const { state, datapath } = host;
  const endPasses = every(PASS_MS, timers ?? realTimers, () =>
    inBackground(host.log, 'a full pass failed', host.reconciler.pass),
  );
  const endDrift = mendDrift(host);
  let closed = false;
  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    endPasses();
    endDrift();
    await leave(company, false);
    await host.end();
    events.end();
    await datapath.close();
    store.close();
  }
  return {
    networks: networkVerbs(host),
    pools: poolVerbs(host),
    endpoints: endpointVerbs(host),
    ...attachVerbs(host, engine ?? dockerEngine()),
    ...exposeVerbs(host),
    bridges: bridgeVerbs(host),
    names: nameVerbs(host, company, engine ?? dockerEngine()),
    cluster: clusterVerbs(host, company),
    engine: engineVerbs(host),
    status: async () => ({
      version: VERSION,
      pid: process.pid,
      peer: { id: state.self, name: state.peers.get(state.self)?.name ?? '' },
      networks: state.networks.size,
      endpoints: [...state.endpoints.values()].filter(({ peer }) => peer === state.self).length,
      started,
      ...(state.domain ? { dns: { domain: state.domain, addresses: Object.values(DNS_ADDRESS) } } : {}),
      ...(company.cluster ? { cluster: company.cluster.status() } : {}),
      repairs: host.reconciler.repairs,
      notices: [...notices, ...(company.sharing?.notices() ?? [])],
    }),
    overview() {
      return overviewOf(this);
    },
    check: ({ fix } = {}) => check(host, store, fix),
    events: events.subscribe,
    async reset() {
      endPasses();
      endDrift();
      await leave(company, true);
      await host.end();
      await firewall.set(undefined);
      await datapath.destroy();
      store.erase();
      state.apply(
        state
          .records()
          .reverse()
          .map((change) => ({ ...change, record: null }) as Change),
      );
      // What is under way must not put anything back.
      await close();
      await forget();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
