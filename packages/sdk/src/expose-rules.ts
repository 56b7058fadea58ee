import type { Exposed, FirewallRules } from '@weave/core';
import { GATEWAY_PREFIX } from '@weave/core';

/** Links that are forwarded over where something would drop that; `+`: and all that begin so. */
export const forwardedLinks = (rules: FirewallRules | undefined): string[] => [
  ...(rules?.gateways.length ? [`${GATEWAY_PREFIX}+`] : []),
  ...(rules?.exposed ?? []).map(({ link }) => link),
];

/**
 * Where the host is itself on networks, it leads their containers out, and others in. Networks stay apart, and two subnets
 * of one; and so do networks of others, which are bridges.
 */
export function exposedForward(exposed: readonly Exposed[]): string[] {
  if (exposed.length === 0) return [];
  const links = `{ ${exposed.map(({ link }) => `"${link}"`).join(', ')} }`;
  return [
    `    oifname ${links} ct state established,related accept`,
    `    oifname ${links} iifname ${links} drop`,
    `    oifname ${links} iifname "${GATEWAY_PREFIX}*" drop`,
    `    oifname ${links} meta iifkind "bridge" drop`,
    `    iifname ${links} meta oifkind "bridge" ct state established,related accept`,
    `    iifname ${links} meta oifkind "bridge" drop`,
  ];
}

/** Multicast is answered to nobody. */
export const exposedMasquerade = (exposed: readonly Exposed[]): string[] =>
  exposed.flatMap(({ link, masqueraded }) =>
    masqueraded.flatMap((subnet) => {
      const [ip, multicast] = subnet.includes(':') ? ['ip6', 'ff00::/8'] : ['ip', '224.0.0.0/4'];
      return [
        // In: the answer has to come back here, and a container's way to elsewhere is another.
        `    ${ip} daddr ${subnet} ${ip} saddr != ${subnet} oifname "${link}" masquerade`,
        `    ${ip} saddr ${subnet} oifname "${link}" ct status dnat masquerade`,
        `    ${ip} saddr ${subnet} ${ip} daddr != { ${subnet}, ${multicast} } oifname != "${link}" masquerade`,
      ];
    }),
  );
