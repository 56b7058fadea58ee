import { cidr, formatAddress } from './address.ts';
import type { AddressRequest } from './address-request.ts';
import { hasGateway } from './desired.ts';
import { isSame } from './directory.ts';
import { givenEndpoint } from './endpoints.ts';
import { fail } from './errors.ts';
import { grant } from './grant.ts';
import { HOST } from './kernel.ts';
import type { Change, Endpoint, Network } from './model.ts';
import { exposeName, hashId } from './names.ts';
import type { State } from './state.ts';

/** Whatever prefix length its subnet may have later. */
export const plain = (text: string): string => formatAddress(cidr(text));

const idOf = (state: State, network: Network) => hashId('expose', network.id, state.self);

/** The endpoint by which this host is itself on a network, if it is. */
export const exposureOf = (state: State, network: Network): Endpoint | undefined =>
  state.endpoints.get(idOf(state, network));

/** What this host is exposed by. */
export const exposures = (state: State): Endpoint[] =>
  state.endpointsIn(HOST).filter(({ sandbox }) => sandbox?.kind === 'host');

/**
 * Puts this host on a network with these addresses, beside those that it has there. Asking for what is there changes
 * nothing but whether it is masqueraded.
 */
export function expose(state: State, network: Network, requests: readonly AddressRequest[], masquerade: boolean) {
  if (hasGateway(network))
    fail('WEAVE_INVALID_REQUEST', `this host is on network ${network.name} already: it is its gateway`, {
      hint: 'Weave is the gateway of that network; docker network inspect shows its address.',
    });
  const id = idOf(state, network);
  const current = exposureOf(state, network);
  const { addresses, granted } = grant(state, network, requests, current);
  const had = current?.sandbox?.kind === 'host' ? current.sandbox : undefined;
  const asked = [...new Set(granted.map(plain))];
  const others = (had?.direct ?? []).filter((text) => !asked.includes(text));
  const direct = masquerade ? others : [...others, ...asked];
  const endpoint: Endpoint = {
    ...givenEndpoint(state, network, { id, current, addresses }),
    sandbox: {
      kind: 'host',
      interface: had?.interface ?? exposeName(network),
      ...(direct.length > 0 ? { direct } : {}),
    },
  };
  const changes: Change[] = isSame(current, endpoint) ? [] : [{ table: 'endpoint', id, record: endpoint }];
  return { endpoint, granted, changes };
}
