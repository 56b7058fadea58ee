import { Errno } from './errno.ts';

/** A namespace, as far as sysctls go. */
interface Netns {
  /** Those that were set. */
  readonly sysctls: Map<string, string>;
  readonly links: ReadonlyMap<string, Link>;
}

interface Link {
  readonly name: string;
  /** What it started with. */
  readonly inherited: ReadonlyMap<string, string>;
  dropFamily(family: 6): void;
}

/** What a new namespace has, by the last part of the key. */
const CONF: Record<string, Record<string, string>> = {
  ipv4: { arp_notify: '0', forwarding: '0', promote_secondaries: '0', route_localnet: '0', rp_filter: '0', tag: '0' },
  ipv6: { accept_dad: '1', accept_ra: '1', addr_gen_mode: '0', disable_ipv6: '0', forwarding: '0', ndisc_notify: '0' },
};
const SINGLE: Record<string, string> = { 'net/ipv4/ip_forward': '0' };
const CONF_KEY = /^net\/(ipv[46])\/conf\/([^/]+)\/(\w+)$/;

/** Undefined when there is no such key; that of a link goes with the link. */
export function readSysctl(netns: Netns, key: string): string | undefined {
  const [, family = '', on = '', name = ''] = CONF_KEY.exec(key) ?? [];
  if (!family) return key in SINGLE ? (netns.sysctls.get(key) ?? SINGLE[key]) : undefined;
  const initial = CONF[family]?.[name];
  if (initial === undefined) return undefined;
  if (on === 'all' || on === 'default') return netns.sysctls.get(key) ?? initial;
  const link = netns.links.get(on);
  return link && (netns.sysctls.get(key) ?? link.inherited.get(`${family}/${name}`) ?? initial);
}

export function writeSysctl(netns: Netns, key: string, value: string, ifPresent: boolean): void {
  if (!key.startsWith('net/') || key.split('/').some((part) => ['', '.', '..'].includes(part)))
    throw new Errno('EINVAL', `key: "${key}" is not a path below net/`);
  if (readSysctl(netns, key) === undefined) {
    if (ifPresent) return;
    throw new Errno('ENOENT', `${key}: No such file or directory`);
  }
  if (!/^-?\d+$/.test(value)) throw new Errno('EINVAL', `${key}: Invalid argument`);
  netns.sysctls.set(key, value);
  if (!key.startsWith('net/ipv6/') || !key.endsWith('/disable_ipv6')) return;
  const all = key === 'net/ipv6/conf/all/disable_ipv6';
  if (all) netns.sysctls.set('net/ipv6/conf/default/disable_ipv6', value);
  for (const link of netns.links.values()) {
    const own = `net/ipv6/conf/${link.name}/disable_ipv6`;
    if (all) netns.sysctls.set(own, value);
    if ((all || key === own) && value !== '0') link.dropFamily(6);
  }
}

/** What a link that is made now starts with. */
export function inherit(netns: Netns): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of netns.sysctls) {
    const [, family, on, name] = CONF_KEY.exec(key) ?? [];
    if (on === 'default') found.set(`${family}/${name}`, value);
  }
  return found;
}

/** What was set of a link that is no more. */
export function forget(netns: Netns, link: string): void {
  for (const key of [...netns.sysctls.keys()]) if (CONF_KEY.exec(key)?.[2] === link) netns.sysctls.delete(key);
}
