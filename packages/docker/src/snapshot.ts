import { type EngineContainer, type EngineSnapshot, engineContainer, type Weave } from '@weave/sdk';
import type Docker from 'dockerode';
import { dial } from './dial.ts';
import { PLUGIN_NAMES } from './plugin.ts';

type Inspected = Docker.NetworkInspectInfo;

/** What Weave has at some time for the engine, to be compared with what the engine has later. */
export interface Holdings {
  /** Of networks and endpoints. */
  ids: string[];
  grants: string[];
}

export async function holdings(weave: Weave): Promise<Holdings> {
  const records = await Promise.all([weave.networks.list(), weave.endpoints.list()]);
  return { ids: records.flat().map(({ id }) => id), grants: await weave.pools.grants() };
}

/** What the engine knows of networks and containers of ours. */
export async function snapshot(
  weave: Weave,
  docker: Docker,
  before: string[],
  abortSignal: AbortSignal,
): Promise<EngineSnapshot> {
  const inspect = inspector(docker, abortSignal);
  const endpoints = await weave.endpoints.list();
  const self = (await weave.status()).peer.id;
  const known = new Set(endpoints.map(({ id }) => id));
  const given = (await weave.names.list()).filter(({ peer, network }) => peer === self && network === undefined);
  const attached = new Set([
    ...endpoints.flatMap((e) => (e.owner === 'weave' && e.container ? [e.container.id] : [])),
    ...given.flatMap(({ container }) => container ?? []),
  ]);
  const listed = await docker.listNetworks({ filters: { driver: [...PLUGIN_NAMES] }, abortSignal });
  const inspected = await Promise.all(
    listed.map(({ Id }) => unlessGone(dial<Inspected>(docker, 'GET', `/networks/${Id}`, abortSignal))),
  );
  const containers = await Promise.all([...attached].map(async (id) => [id, await containerOf(inspect, id)] as const));
  return {
    before,
    containers: containers.flatMap(([, container]) => container ?? []),
    gone: containers.flatMap(([id, container]) => (container ? [] : id)),
    networks: await Promise.all(
      inspected.filter((n) => n !== undefined).map((network) => networkOf(inspect, network, known)),
    ),
  };
}

async function networkOf(
  inspect: Inspect,
  network: Inspected,
  known: ReadonlySet<string>,
): Promise<EngineSnapshot['networks'][number]> {
  const config = network.IPAM?.Config ?? [];
  const ours = PLUGIN_NAMES.some((name) => name === network.IPAM?.Driver);
  const endpoints = Object.entries(network.Containers ?? {}).map(async ([id, c]) => ({
    id: c.EndpointID,
    addresses: [c.IPv4Address, c.IPv6Address].filter(Boolean),
    mac: c.MacAddress,
    // Until a container has joined, its place is taken by `ep-` and the endpoint's id.
    ...(id.startsWith('ep-') ? {} : { container: { id, name: c.Name } }),
    sandbox: known.has(c.EndpointID) ? undefined : (await inspect(id))?.NetworkSettings.SandboxKey,
  }));
  return {
    id: network.Id,
    name: network.Name,
    internal: network.Internal,
    options: network.Options ?? {},
    subnets: config.map((c) => ({ cidr: c.Subnet!, gateway: c.Gateway || undefined, ours })),
    range: Object.fromEntries(config.flatMap((c) => (c.IPRange ? [[c.Subnet!, c.IPRange]] : []))),
    reserved: config
      .flatMap((c) => [
        c.Gateway,
        ...Object.values((c as { AuxiliaryAddresses?: Record<string, string> }).AuxiliaryAddresses ?? {}),
      ])
      .flatMap((text) => text?.split('/')[0] || []),
    endpoints: await Promise.all(endpoints),
  };
}

/** Undefined when the engine has it not any more. */
async function unlessGone<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return undefined;
    throw error;
  }
}

/** Asks for a container. The engine does not answer while it starts or stops that one, and waits for its drivers. */
export type Inspect = (id: string) => Promise<Docker.ContainerInspectInfo | undefined>;

export const inspector =
  (docker: Docker, abortSignal: AbortSignal): Inspect =>
  (id) =>
    unlessGone(docker.getContainer(id).inspect({ abortSignal } as object));

/** Undefined when the engine has it not any more. */
export async function containerOf(inspect: Inspect, id: string): Promise<EngineContainer | undefined> {
  const found = await inspect(id);
  return found && engineContainer(found);
}
