import { address, cidr, formatAddress, hostBounds } from './address.ts';
import { releasePool } from './ipam.ts';
import type { Change, Network } from './model.ts';
import type { State } from './state.ts';

/** What an engine says that a network holds: gateways and auxiliary addresses. */
interface Held {
  id: string;
  reserved: readonly string[];
}

/**
 * Pools and addresses that an engine was given and does not use: it died before it could, or was not told of them as
 * we died. `isOld` says of which it is certain that no call for them is still to come.
 */
export function unused(
  state: State,
  networks: readonly Held[],
  isOld: (table: 'pool' | 'lease', id: string) => boolean,
): Change[] {
  const used = new Set(networks.flatMap((seen) => reservedOf(state, seen)));
  const seen = new Set(networks.map(({ id }) => id));
  const owners = new Map([...state.networks.values()].flatMap((n) => n.subnets.map((s) => [s.pool, n] as const)));
  const isUnused = (pool: string, text: string) => {
    const network = owners.get(pool);
    return (
      network && seen.has(network.id) && !used.has(`${network.id} ${text}`) && !state.addressOwner(network.id, text)
    );
  };
  const leases = [...state.leases].filter(
    ([id, { pool, address, peer }]) => !peer && isOld('lease', id) && isUnused(pool, address),
  );
  const pools = [...state.pools.values()].flatMap(({ id, origin }) =>
    !origin && isOld('pool', id) && !owners.has(id) ? [id] : [],
  );
  return [
    ...leases.map(([id]): Change => ({ table: 'lease', id, record: null })),
    ...pools.flatMap((id) => releasePool(state, id)),
  ];
}

/** What a network holds beside its endpoints. */
function reservedOf(state: State, { id, reserved }: Held): string[] {
  const network = state.networks.get(id);
  const texts = [
    ...reserved.map((text) => formatAddress(address(text))),
    ...(network ? gatewaysOf(state, network) : []),
  ];
  return texts.map((text) => `${id} ${text}`);
}

/** One that nobody named is the first address that the engine asked for, of the subnet as it was then. */
const gatewaysOf = (state: State, { subnets }: Network): string[] =>
  subnets.flatMap(({ cidr: now, gateway, pool }) => {
    if (gateway) return [gateway];
    const { range, grownFrom = [] } = state.pools.get(pool ?? '') ?? {};
    return [now, ...grownFrom].map((text) =>
      formatAddress({ family: cidr(text).family, value: hostBounds(cidr(text), cidr(range ?? text)).first }),
    );
  });
