import { readdirSync, readFileSync } from 'node:fs';
import {
  attachName,
  bridgeName,
  type Change,
  type ContainerRef,
  type Datapath,
  type Endpoint,
  HOST,
  hashId,
  type Network,
  networkOfAlias,
  type Observed,
  portName,
  type State,
  SWITCH,
} from '@weave/core';
import { netnsOf } from './target.ts';

/** A namespace that some process is in, as that of a container or by itself. */
interface Inhabited {
  path: string;
  id: string;
  container?: ContainerRef;
}

/**
 * What the kernel knows when the store does not: our own networks from the aliases of their bridges, and what was
 * attached to them. That a namespace was attached is proven by a port in the switch, whose name is a hash of both.
 */
export async function recover(state: State, datapath: Datapath): Promise<Change[]> {
  const [inSwitch] = await datapath.observe([{ netns: SWITCH }]);
  const links = new Map(inSwitch?.links.map((link) => [link.name, link]));
  const draft = state.copy();
  const changes: Change[] = [];
  const take = (made: Change[]) => {
    draft.apply(made);
    changes.push(...made);
  };
  for (const link of links.values()) take(networkOfAlias(draft, link));
  const networks = [...draft.networks.values()].filter((n) => links.has(bridgeName(n.id)));
  for (const netns of inhabited(datapath))
    for (const network of networks) {
      const id = hashId('attach', network.id, netns.container?.id ?? netns.id);
      if (!links.has(portName(id)) || draft.endpoints.has(id)) continue;
      const [seen] = await datapath.observe([{ netns: netns.path, links: [attachName(network)] }]);
      const endpoint = seen && endpointOf(state.self, { id, network, netns, seen });
      if (endpoint) take([{ table: 'endpoint', id, record: endpoint }]);
    }
  return changes;
}

interface Found {
  id: string;
  network: Network;
  netns: Inhabited;
  seen: Observed;
}

function endpointOf(self: string, { id, network, netns, seen }: Found): Endpoint | undefined {
  const link = seen.links[0];
  // fe80::/10 is the kernel's own.
  const addresses = seen.addresses.map((a) => a.address).filter((text) => !/^fe[89ab]/.test(text));
  if (!link || addresses.length === 0) return undefined;
  const { path, id: netnsId, container } = netns;
  const sandbox = { kind: 'netns', path, id: netnsId, interface: link.name } as const;
  return {
    id,
    network: network.id,
    peer: self,
    addresses,
    mac: link.mac,
    owner: 'weave',
    sandbox,
    ...(container ? { container } : {}),
  };
}

/**
 * Every network namespace by the first process of each container in it, as its control group names it, and by the
 * first process at all: it may have been attached as either, and whoever looks into a container is in it too.
 */
function inhabited(datapath: Datapath): Inhabited[] {
  const found = new Map<string, Inhabited>();
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  for (const pid of pids.map(Number).sort((a, b) => a - b)) {
    const path = netnsOf(pid);
    const id = datapath.netnsId(path);
    if (!id || id === datapath.netnsId(HOST)) continue;
    const container = containerOf(pid);
    const known = { path, id };
    if (!found.has(id)) found.set(id, known);
    if (container && !found.has(`${id} ${container}`))
      found.set(`${id} ${container}`, { ...known, container: { id: container, name: container.slice(0, 12) } });
  }
  // And those that are kept by a file alone, as `ip netns add` does it.
  for (const path of mountedNamespaces()) {
    const id = datapath.netnsId(path);
    if (id && id !== datapath.netnsId(HOST) && id !== datapath.netnsId(SWITCH) && !found.has(id))
      found.set(id, { path, id });
  }
  return [...found.values()];
}

/** Field 5 of a line is the mount point; the file system's type comes after the dash. */
const mountedNamespaces = () =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(' - nsfs '))
    .map((line) => line.split(' ')[4]!.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8))));

function containerOf(pid: number): string | undefined {
  try {
    return /[0-9a-f]{64}/.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[0];
  } catch {
    return undefined; // it ended meanwhile
  }
}
