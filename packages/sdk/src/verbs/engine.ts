import {
  type AttachTarget,
  announcements,
  attachName,
  type Change,
  type Endpoint,
  nameEndpoint,
  nameNetwork,
  rebuild,
} from '@weave/core';
import { describe } from '../check.ts';
import type { Host } from '../host.ts';
import { inBackground } from '../log.ts';
import { containerTarget, leaveLastRun } from '../target.ts';
import type { EngineContainer, Weave } from '../weave.ts';
import { rewriteHosts } from './hosts.ts';

/** What an engine's face tells of its containers and networks. */
export function engineVerbs(host: Host): Weave['engine'] {
  const { state, datapath } = host;

  /** Attachments follow their container into the namespace of its new run. */
  async function follow(container: EngineContainer): Promise<void> {
    const { id: containerId, name, endpoints = [] } = container;
    const attached = state.endpointsIn(container.id).filter((e) => e.owner === 'weave');
    const target = attached.length > 0 && container.pid > 0 ? containerTarget(datapath, container) : undefined;
    host.commit(endpoints.flatMap((id) => nameEndpoint(state, id, { id: containerId, name })));
    if (!target) return;
    const { path, id } = target;
    for (const endpoint of attached) {
      const { sandbox } = endpoint;
      if (sandbox?.kind === 'netns' && sandbox.id === id) {
        // A path through another process would end with that one.
        if (sandbox.path !== path)
          host.commit([{ table: 'endpoint', id: endpoint.id, record: { ...endpoint, sandbox: { ...sandbox, path } } }]);
        continue;
      }
      await move(endpoint, target);
      host.log('info', 'attached again', { container: container.name, addresses: endpoint.addresses });
    }
  }

  async function move(endpoint: Endpoint, target: AttachTarget): Promise<void> {
    const { path, id, container } = target;
    leaveLastRun(host, endpoint, id);
    const moved: Endpoint = {
      ...endpoint,
      sandbox: { kind: 'netns', path, id, interface: attachName(state.networks.get(endpoint.network)!) },
      ...(container ? { container } : {}),
    };
    const changes: Change[] = [{ table: 'endpoint', id: endpoint.id, record: moved }];
    if (moved.hosts)
      await inBackground(host.log, 'names could not be given again', async () => rewriteHosts(host, target, moved));
    const announce = announcements(moved, moved.addresses);
    await host.carryOut({ changes, endpoints: [endpoint.id], announce });
  }

  async function drop(container: string): Promise<void> {
    for (const { id, owner } of state.endpointsIn(container))
      if (owner === 'weave')
        await host.carryOut({ changes: [{ table: 'endpoint', id, record: null }], endpoints: [id] });
  }

  const started = (container: EngineContainer) => host.inTurn(container.id, () => follow(container));
  const removed = (container: string) => host.inTurn(container, () => drop(container));

  return {
    started,
    removed,
    named: (network, name) =>
      host.inTurn('networks', () =>
        host.decide(
          () => ({ changes: nameNetwork(state, network, name) }),
          ({ changes }) => host.commit(changes),
        ),
      ),
    async compare(view) {
      const changes = rebuild(state, view, { now: host.clock(), before: new Set(view.before) });
      return changes.map((change) => ({ where: 'engine', what: describe(state, change) }) as const);
    },
    async report(view) {
      const forwards = host.leftover?.ports;
      const before = new Set(view.before);
      await host.inTurn('networks', () =>
        host.decide(
          () => ({ changes: rebuild(state, view, { now: host.clock(), before, forwards }) }),
          ({ changes }) => host.commit(changes),
        ),
      );
      const changed = [
        ...view.containers.map((each) => () => started(each)),
        ...view.gone.map((id) => () => removed(id)),
      ];
      for (const follow of changed) await inBackground(host.log, 'container could not be followed', follow);
      host.trustRecords();
      await host.reconciler.pass();
    },
  };
}
