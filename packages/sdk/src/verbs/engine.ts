import {
  type AttachTarget,
  announcements,
  attachName,
  type Change,
  type Endpoint,
  leaveEndpoint,
  nameEndpoint,
  nameNetwork,
  rebuild,
  removeNames,
  unnameEndpoint,
  withName,
} from '@weave/core';
import { describe } from '../check.ts';
import type { Host } from '../host.ts';
import { inBackground } from '../log.ts';
import { containerTarget, leaveLastRun } from '../target.ts';
import { leadToDns } from '../way-to-dns.ts';
import type { EngineContainer, Weave } from '../weave.ts';
import { rewriteHosts } from './hosts.ts';

/** What an engine's face tells of its containers and networks. */
export function engineVerbs(host: Host): Weave['engine'] {
  const { state, datapath } = host;

  /** Attachments follow their container into the namespace of its new run. */
  async function follow(container: EngineContainer): Promise<void> {
    const { endpoints = [], pid } = container;
    if (pid === 0) await end(container.id);
    const attached = pid === 0 ? [] : state.endpointsIn(container.id).filter((e) => e.owner === 'weave');
    const target = attached.length > 0 ? containerTarget(datapath, container) : undefined;
    const called = [...endpoints, ...attached.map((e) => e.id)];
    host.commit(called.flatMap((id) => nameEndpoint(state, id, container)));
    if (!target) return;
    const { path, id } = target;
    for (const endpoint of attached.flatMap((e) => state.endpoints.get(e.id) ?? [])) {
      const { sandbox } = endpoint;
      if (sandbox?.kind === 'netns' && sandbox.id === id) {
        // A path through another process would end with that one.
        if (sandbox.path !== path)
          host.commit([{ table: 'endpoint', id: endpoint.id, record: { ...endpoint, sandbox: { ...sandbox, path } } }]);
        continue;
      }
      await move(withName(state, endpoint, container), target);
      host.log('info', 'attached again', { container: container.name, addresses: endpoint.addresses });
    }
  }

  async function move(endpoint: Endpoint, target: AttachTarget): Promise<void> {
    const { path, id } = target;
    leaveLastRun(host, endpoint, id);
    const moved: Endpoint = {
      ...endpoint,
      sandbox: { kind: 'netns', path, id, interface: attachName(state.networks.get(endpoint.network)!) },
    };
    const changes: Change[] = [{ table: 'endpoint', id: endpoint.id, record: moved }];
    if (moved.hosts)
      await inBackground(host.log, 'names could not be given again', async () => rewriteHosts(host, target, moved));
    const announce = announcements(moved, moved.addresses);
    await host.carryOut({ changes, endpoints: [endpoint.id], announce });
  }

  /** Its attachments stay for when it starts again, its names do not. */
  async function end(container: string): Promise<void> {
    const own = state.endpointsIn(container).filter((e) => e.container?.id === container);
    const isOver = ({ sandbox }: Endpoint) =>
      sandbox?.kind === 'netns' && datapath.netnsId(sandbox.path) !== sandbox.id;
    const over = own.filter(isOver).map((e) => e.id);
    const unnamed = own.flatMap(({ id }) => (over.includes(id) ? [] : unnameEndpoint(state, id)));
    host.commit([...unnamed, ...namesOf(container)]);
    for (const id of over) await host.carryOut({ changes: leaveEndpoint(state, id), endpoints: [id] });
  }

  async function drop(container: string): Promise<void> {
    for (const { id, owner } of state.endpointsIn(container))
      if (owner === 'weave')
        await host.carryOut({ changes: [{ table: 'endpoint', id, record: null }], endpoints: [id] });
    host.commit(namesOf(container));
  }

  const namesOf = (container: string) => (state.domain ? removeNames(state, { container }) : []);

  const started = (container: EngineContainer) => host.inTurn(container.id, () => follow(container));
  const removed = (container: string) => host.inTurn(container, () => drop(container));

  return {
    started,
    removed,
    ended: (container) => host.inTurn(container, () => end(container)),
    named: (network, name) =>
      host.define(
        async () => () => ({ changes: nameNetwork(state, network, name) }),
        ({ changes }) => host.commit(changes),
      ),
    async compare(view) {
      const changes = rebuild(state, view, { now: host.clock(), before: new Set(view.before) });
      return changes.map((change) => ({ where: 'engine', what: describe(state, change) }) as const);
    },
    async report(view) {
      const forwards = host.leftover?.ports;
      const before = new Set(view.before);
      await host.define(
        async () => () => ({ changes: rebuild(state, view, { now: host.clock(), before, forwards }) }),
        ({ changes }) => host.commit(changes),
      );
      const changed = [
        ...view.containers.map((each) => () => started(each)),
        ...view.gone.map((id) => () => removed(id)),
      ];
      for (const follow of changed) await inBackground(host.log, 'container could not be followed', follow);
      host.trustRecords();
      await host.reconciler.pass();
      await leadToDns(host);
    },
  };
}
