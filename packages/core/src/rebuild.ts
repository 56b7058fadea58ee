import { cidr, formatAddress, hostBounds } from './address.ts';
import { createEndpoint, deleteEndpoint, joinEndpoint, nameEndpoint, publishPorts } from './endpoints.ts';
import { type PortForward, publishedOf } from './firewall.ts';
import { learnLease, poolAt, releasePool, requestPool } from './ipam.ts';
import { type Change, type ContainerRef, leaseId } from './model.ts';
import { adoptNetwork, type EngineNetworkSpec, forgetNetwork, nameNetwork } from './networks.ts';
import { NETWORK_OPTION } from './options.ts';
import type { State } from './state.ts';
import { unused } from './unused.ts';

/** What an engine knows of its networks on us. */
export interface EngineView {
  networks: readonly (EngineNetworkSpec & {
    /** Subnet → the part of it to hand out. */
    range?: Readonly<Record<string, string>> | undefined;
    /** Gateways and auxiliary addresses. */
    reserved: readonly string[];
    endpoints: readonly {
      id: string;
      addresses: readonly string[];
      mac: string;
      /** Absent while the engine has no container in it yet. */
      container?: ContainerRef | undefined;
      sandbox?: string | undefined;
    }[];
  })[];
}

interface Context {
  now: number;
  before: ReadonlySet<string>;
  /** Of ports: what the packet filter still has from before our records were lost. */
  forwards?: readonly PortForward[] | undefined;
}

/**
 * What brings our records to an engine's view: networks, pools, leases and endpoints that we lost are learned again;
 * those that the engine lost are dropped, unless they are newer than the view (not in `before`), and so are pools and
 * leases that it does not use; of those `before` has their {@link Grants}.
 */
export function rebuild(state: State, view: EngineView, { now, before, forwards = [] }: Context): Change[] {
  const draft = state.copy();
  const changes: Change[] = [];
  const take = (made: Change[]) => {
    draft.apply(made);
    changes.push(...made);
  };
  const known = new Set(view.networks.flatMap((n) => [state.boundTo(n.id), ...n.endpoints.map((e) => e.id)]));
  for (const { id, owner, peer } of [...draft.endpoints.values()])
    if (owner === 'docker' && peer === state.self && !known.has(id) && before.has(id)) take(dropEndpoint(draft, id));
  // One that others may use is made for the engine again, if it has it not.
  for (const { id, owner, subnets } of [...draft.networks.values()])
    if (owner === 'docker' && !state.cluster && !known.has(id) && before.has(id)) {
      take(forgetNetwork(draft, id));
      for (const { pool } of subnets) if (pool) take(releasePool(draft, pool));
    }
  for (const network of view.networks) learnNetwork(draft, network, now, take);
  for (const { id, network, addresses } of [...draft.endpoints.values()])
    if (!state.endpoints.has(id)) take(publishPorts(draft, id, publishedOf(forwards, network, addresses)));
  const seen = view.networks.map(({ id, reserved }) => ({ id: draft.boundTo(id), reserved }));
  take(unused(draft, seen, (table, id) => before.has(state.grants.of(table, id))));
  return changes;
}

/** One of the hosts' that they gave up, and that a container keeps the engine from removing: the rest of the view counts. */
const isGone = (draft: State, { id, options: { [NETWORK_OPTION]: name } }: EngineNetworkSpec): boolean =>
  draft.cluster !== undefined && name !== undefined && !draft.bindings.has(id) && !draft.findNetwork(name);

type Take = (changes: Change[]) => void;

/** An endpoint that its engine lost, and with it the engine's lease. */
function dropEndpoint(draft: State, id: string): Change[] {
  const { network, addresses } = draft.endpoint(id);
  const leases = addresses.flatMap((text): Change[] => {
    const plain = formatAddress(cidr(text));
    const pool = draft.subnetOf(draft.networks.get(network)!, cidr(text))?.pool;
    const lease = pool && leaseId(pool, plain);
    return lease && draft.leases.has(lease) ? [{ table: 'lease', id: lease, record: null }] : [];
  });
  return [...deleteEndpoint(draft, id), ...leases];
}

function learnNetwork(draft: State, network: EngineView['networks'][number], now: number, take: Take): void {
  if (isGone(draft, network)) return;
  for (const each of network.subnets)
    if (each.ours && !poolAt(draft, each.cidr))
      take(
        requestPool(draft, { family: cidr(each.cidr).family, cidr: each.cidr, range: network.range?.[each.cidr], now })
          .changes,
      );
  take(adoptNetwork(draft, network));
  const id = draft.boundTo(network.id);
  if (network.name && id === network.id) take(nameNetwork(draft, id, network.name));
  const held = [
    ...network.reserved,
    ...network.endpoints.flatMap((e) => e.addresses.map((text) => formatAddress(cidr(text)))),
  ];
  for (const text of held) take(learnLease(draft, draft.network(id), text));
  for (const endpoint of network.endpoints) learnEndpoint(draft, id, endpoint, take);
  // Of one that is bound the engine was given none.
  for (const { cidr: text, gateway, ours } of network.subnets)
    if (ours && !gateway && id === network.id) take(learnUnnamedGateway(draft, id, text));
}

/** Where the user named no gateway the engine does not tell it, but it was the first address that it asked for. */
function learnUnnamedGateway(draft: State, network: string, text: string): Change[] {
  const pool = poolAt(draft, text);
  if (!pool) return [];
  const { first } = hostBounds(cidr(text), cidr(pool.range ?? text));
  return learnLease(draft, draft.network(network), formatAddress({ family: cidr(text).family, value: first }));
}

function learnEndpoint(
  draft: State,
  network: string,
  seen: EngineView['networks'][number]['endpoints'][number],
  take: Take,
): void {
  if (!draft.endpoints.has(seen.id)) {
    const { mac, ...rest } = seen;
    // What an engine has made is so, also where two of them disturb each other.
    take(createEndpoint(draft, { ...rest, network, ...(draft.macOwner(network, mac) ? {} : { mac }) }).changes);
    if (seen.sandbox) take(joinEndpoint(draft, seen.id, seen.sandbox).changes);
  }
  const { container: known } = draft.endpoint(seen.id);
  // A view tells a container's name only: what else it is called by stays known.
  if (seen.container && (seen.container.id !== known?.id || seen.container.name !== known.name))
    take(nameEndpoint(draft, seen.id, seen.container));
}
