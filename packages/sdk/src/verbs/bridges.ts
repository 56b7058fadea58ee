import { bridged, bridgedOf, DEFAULT_NETWORK, fail, HOST } from '@weave/core';
import type { Host } from '../host.ts';
import type { Weave } from '../weave.ts';

/** Bridges of the host on networks. */
export function bridgeVerbs(host: Host): Weave['bridges'] {
  const { state, datapath } = host;

  async function mustBeBridge(name: string): Promise<void> {
    const [seen] = await datapath.observe([{ netns: HOST, links: [name] }]);
    const link = seen?.links.find((each) => each.name === name);
    if (!link) fail('WEAVE_BRIDGE_NOT_FOUND', `there is no bridge ${name} on this host`);
    if (link.kind !== 'bridge') fail('WEAVE_BRIDGE_NOT_FOUND', `${name} is no bridge`);
  }

  return {
    async attach(bridge, { network = DEFAULT_NETWORK } = {}) {
      state.network(network);
      await mustBeBridge(bridge);
      await host.inTurn(HOST, () =>
        host.decide(
          () => bridged(state, state.network(network), bridge),
          ({ endpoint, changes }) => host.carryOut({ changes, endpoints: [endpoint.id] }),
        ),
      );
    },
    detach: (bridge, { network = DEFAULT_NETWORK } = {}) =>
      host.inTurn(HOST, async () => {
        const endpoint = bridgedOf(state, state.network(network), bridge);
        if (!endpoint) return;
        const { id } = endpoint;
        await host.carryOut({ changes: [{ table: 'endpoint', id, record: null }], endpoints: [id] });
      }),
  };
}
