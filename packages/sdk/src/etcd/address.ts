import { isIPv6 } from 'node:net';
import { fail } from '@weave/core';

const PORT = 2379;
const HINT = 'Write it as etcd://host1:2379,host2:2379, or etcds:// where it speaks TLS.';

export interface EtcdAddress {
  /** host:port, an IPv6 address in brackets. */
  readonly endpoints: string[];
  readonly isSecure: boolean;
}

/** An etcd as it is written: `etcd://h1:2379,h2:2379`, `etcds://` where it speaks TLS. WEAVE_INVALID_OPTION otherwise. */
export function parseEtcdAddress(text: string): EtcdAddress {
  const [, scheme, rest] = /^(etcds?):\/\/(.*)$/.exec(text) ?? [];
  if (scheme === undefined || rest === undefined)
    return fail('WEAVE_INVALID_OPTION', `${text} is no etcd`, { hint: HINT });
  const endpoints = rest
    .replace(/\/$/, '')
    .split(',')
    .map((each) => parseEndpoint(each, text));
  return { endpoints: [...new Set(endpoints)], isSecure: scheme === 'etcds' };
}

function parseEndpoint(endpoint: string, text: string): string {
  const wrong = (why: string) => fail('WEAVE_INVALID_OPTION', `${text}: ${why}`, { hint: HINT });
  // Without the text: there is a password in it.
  if (endpoint.includes('@'))
    return fail('WEAVE_INVALID_OPTION', 'an etcd’s user is said by --store-user', { hint: HINT });
  const [, host, bracketed, port = PORT] = /^(?:([^\s:[\]/]+)|\[([^\]]+)\])(?::(\d+))?$/.exec(endpoint) ?? [];
  if (host === undefined && bracketed === undefined) return wrong(`"${endpoint}" is not host:port`);
  if (bracketed !== undefined && !isIPv6(bracketed)) return wrong(`${bracketed} is no IPv6 address`);
  if (Number(port) < 1 || Number(port) > 65_535) return wrong(`${port} is no port`);
  return `${host ?? `[${bracketed}]`}:${Number(port)}`;
}
