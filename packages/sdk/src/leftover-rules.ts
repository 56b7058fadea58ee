import { address, cidr, contains, type FirewallRules, GATEWAY_PREFIX, type PortForward } from '@weave/core';
import { run } from './run.ts';

/** A rule as `nft -j` shows it: the payload fields and metadata that it compares, and what it does. */
interface Rule {
  chain: string;
  expr: {
    match?: {
      op: string;
      left: { payload?: { protocol: string; field: string }; meta?: { key: string } };
      right: unknown;
    };
    dnat?: { addr: string; port: number };
    masquerade?: null;
  }[];
}

/**
 * What a daemon set that lost its records since: of the ports that it published the packet filter alone still knows.
 * Undefined where it set nothing.
 */
export async function leftoverRules(): Promise<FirewallRules | undefined> {
  const { code, stdout } = await run('nft', ['-j', 'list', 'table', 'inet', 'weave']);
  if (code !== 0) return undefined;
  const { nftables } = JSON.parse(stdout) as { nftables: { rule?: Rule }[] };
  return rulesOf(nftables.flatMap(({ rule }) => rule ?? []));
}

export function rulesOf(rules: readonly Rule[]): FirewallRules {
  const subnets = new Map<string, string[]>();
  for (const { chain, expr } of rules) {
    const { saddr, '!=oifname': link } = compared(expr);
    if (chain === 'postrouting' && saddr && link?.startsWith(GATEWAY_PREFIX))
      subnets.set(link, [...(subnets.get(link) ?? []), saddr]);
  }
  const gateways = [...subnets].map(([link, of]) => ({ link, subnets: of }));
  const forwards = rules.filter(({ chain }) => chain === 'prerouting').flatMap(({ expr }) => forwardOf(expr, gateways));
  return { gateways, ports: forwards };
}

function forwardOf(expr: Rule['expr'], gateways: FirewallRules['gateways']): PortForward[] {
  const to = expr.find(({ dnat }) => dnat)?.dnat;
  const { dport, protocol, daddr } = compared(expr);
  const link = gateways.find((g) => to && g.subnets.some((s) => contains(cidr(s), address(to.addr))))?.link;
  if (!to || !link || !isProtocol(protocol) || !Number(dport) || daddr === '') return [];
  const hostAddress = daddr ?? (to.addr.includes(':') ? '::' : '0.0.0.0');
  return [{ protocol, hostAddress, hostPort: Number(dport), port: to.port, link, address: to.addr }];
}

const isProtocol = (text: string | undefined): text is PortForward['protocol'] =>
  text === 'tcp' || text === 'udp' || text === 'sctp';

/** Field → value, `!=` before those that are to differ; `protocol` is that of the port. */
function compared(expr: Rule['expr']): Record<string, string | undefined> {
  const found: Record<string, string> = {};
  for (const { match } of expr) {
    const field = match?.left.payload?.field ?? match?.left.meta?.key;
    if (!match || !field) continue;
    found[match.op === '!=' ? `!=${field}` : field] = textOf(match.right);
    if (field === 'dport') found.protocol = match.left.payload!.protocol;
  }
  return found;
}

function textOf(value: unknown): string {
  const { prefix } = value as { prefix?: { addr: string; len: number } };
  if (prefix) return `${prefix.addr}/${prefix.len}`;
  // A set is no rule of ours.
  return typeof value === 'object' ? '' : String(value);
}
