import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from './host.ts';

interface Shown {
  IPAddress: string;
  IPPrefixLen: number;
  GlobalIPv6Address: string;
  GlobalIPv6PrefixLen: number;
  MacAddress: string;
}

interface Inspected {
  State: { Pid: number; Running: boolean };
  NetworkSettings: { Networks: Record<string, Shown> };
}

interface Link {
  ifname: string;
  address: string;
  addr_info: { local: string; prefixlen: number; scope: string }[];
}

/** An interface with its addresses, as two witnesses should agree on it. */
export interface Interface {
  mac: string;
  addresses: string[];
}

const inspect = async (host: Host, container: string) =>
  ((await host.json(['docker', 'inspect', container])) as [Inspected])[0];

/** What the engine shows of a container on a network. */
export async function shownBy(host: Host, container: string, network: string): Promise<Interface> {
  const shown = (await inspect(host, container)).NetworkSettings.Networks[network]!;
  const v6 = shown.GlobalIPv6Address ? [`${shown.GlobalIPv6Address}/${shown.GlobalIPv6PrefixLen}`] : [];
  return { mac: shown.MacAddress, addresses: [`${shown.IPAddress}/${shown.IPPrefixLen}`, ...v6] };
}

/** The interfaces that the kernel shows in a container, by name; none where it does not run. */
export async function interfacesOf(host: Host, container: string): Promise<Record<string, Interface>> {
  const { Pid, Running } = (await inspect(host, container)).State;
  if (!Running) return {};
  const links = (await host.json(`nsenter --net=/proc/${Pid}/ns/net ip -j addr`)) as Link[];
  const addressesOf = (link: Link) => link.addr_info.filter((a) => a.scope === 'global');
  return Object.fromEntries(
    links.map((link) => [
      link.ifname,
      { mac: link.address, addresses: addressesOf(link).map((a) => `${a.local}/${a.prefixlen}`) },
    ]),
  );
}

/** Pings from a container every 20 ms until what it answers is called, which tells how many there were. */
export async function pinging(host: Host, container: string, address: string) {
  const { Pid } = (await inspect(host, container)).State;
  const child = host.spawn(['nsenter', `--net=/proc/${Pid}/ns/net`, 'ping', '-n', '-i', '0.02', address]);
  let out = '';
  child.stdout!.on('data', (chunk) => (out += chunk));
  return async (): Promise<{ sent: number; lost: number }> => {
    child.kill('SIGINT');
    while (child.exitCode === null) await sleep(20);
    const answered = new Set([...out.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, seq]) => Number(seq)));
    const sent = Number(/(\d+) packets transmitted/.exec(out)![1]);
    // The last one may be under way.
    return { sent, lost: sent - answered.size - (answered.has(sent) ? 0 : 1) };
  };
}
