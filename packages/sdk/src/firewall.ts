import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type Firewall, type FirewallRules, GATEWAY_PREFIX, type PortForward, WeaveError } from '@weave/core';
import { exposedForward, exposedMasquerade, forwardedLinks } from './expose-rules.ts';
import { allowForwarding } from './forward-policy.ts';
import { run } from './run.ts';

/**
 * The host's nftables, in a table of our own; routing, turned on where it was off; iptables only where a policy of its
 * own would drop what we route.
 */
export function hostFirewall(): Firewall {
  let applied: boolean | undefined;
  let turnedOn: Set<Family> | undefined;
  let checked = 0;
  let allowed: string[] | undefined;
  let asked = '';
  let last: FirewallRules | undefined;
  // What nft makes of it, which it writes its own way.
  let shown: string | undefined;

  return {
    async set(rules) {
      const wanted = rules !== undefined;
      // A host where nothing of ours is, and nothing wanted, needs no nft.
      if (!wanted && applied === undefined && !(await has('table inet weave'))) applied = false;
      turnedOn ??= applied === false ? new Set() : await marks();
      // Killed anywhere here, the marks still tell what to turn off: made before it is turned on, gone after it is off.
      const toRoute = unrouted(rules);
      for (const family of toRoute) turnedOn.add(family);
      if (!rules) unroute(turnedOn);
      asked = rules ? ruleset(rules, turnedOn) : REMOVAL;
      if (wanted || applied !== false) await nft(asked);
      for (const family of toRoute) writeFileSync(FORWARDING[family], '1');
      // Others change their policy when they like; asking takes too long for every published port.
      const links = forwardedLinks(rules);
      if (`${links}` !== `${allowed}` || performance.now() - checked > CHECK_MS) {
        await allowForwarding(links);
        checked = performance.now();
        allowed = links;
      }
      applied = wanted;
      last = rules;
      shown = undefined;
    },
    async isAsSet() {
      if (!applied) return true;
      if (unrouted(last).length > 0) return false;
      const { stdout } = await run('nft', ['--stateless', 'list', 'table', 'inet', 'weave']);
      // Not asked for when it is set, so as not to slow that; what was taken out by then is seen by the count.
      shown ??= countRules(stdout) === countRules(asked) ? stdout : undefined;
      return stdout === shown;
    },
  };
}

const CHECK_MS = 5_000;

const countRules = (text: string) => text.split('\n').filter((line) => /^\s+[^\s}].*[^{}]$/.test(line)).length;

const FAMILIES = ['ipv4', 'ipv6'] as const;
type Family = (typeof FAMILIES)[number];

const FORWARDING: Record<Family, string> = {
  ipv4: '/proc/sys/net/ipv4/ip_forward',
  ipv6: '/proc/sys/net/ipv6/conf/all/forwarding',
};

/** An empty chain of ours remembers that routing was off before us, for as long as our table is there. */
const mark = (family: Family) => `${family}_routing_was_off`;

async function marks(): Promise<Set<Family>> {
  const turnedOn = new Set<Family>();
  for (const family of FAMILIES) if (await has(`chain inet weave ${mark(family)}`)) turnedOn.add(family);
  return turnedOn;
}

/** The families that have to be routed and are not. */
function unrouted(rules: FirewallRules | undefined): Family[] {
  const subnets = [...(rules?.gateways ?? []), ...(rules?.exposed ?? [])].flatMap((each) => each.subnets);
  const used = (family: Family) => subnets.some((s) => s.includes(':') === (family === 'ipv6'));
  return FAMILIES.filter((family) => used(family) && readFileSync(FORWARDING[family], 'utf8').trim() === '0');
}

/** Turned off again unless somebody else has a bridge by now, as an engine has: he may rely on it. */
function unroute(turnedOn: Set<Family>): void {
  for (const family of turnedOn) if (!hasBridge(family)) writeFileSync(FORWARDING[family], '0');
  turnedOn.clear();
}

function hasBridge(family: Family): boolean {
  const bridges = readdirSync('/sys/class/net').filter((link) => existsSync(`/sys/class/net/${link}/bridge`));
  if (family === 'ipv4') return bridges.length > 0;
  // Address, index, prefix length, scope (0 is global), flags, link.
  const lines = readFileSync('/proc/net/if_inet6', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return lines.some(([, , , scope, , link]) => scope === '00' && link !== undefined && bridges.includes(link));
}

// Adding first makes deleting what is not there a success.
const REMOVAL = 'add table inet weave\ndelete table inet weave\n';

const GATEWAYS = `"${GATEWAY_PREFIX}*"`;

/** The whole table as nft reads it: replaced in one transaction. */
export function ruleset({ gateways, ports, exposed = [] }: FirewallRules, turnedOn: ReadonlySet<Family>): string {
  const masquerade = gateways.flatMap(({ link, subnets }) =>
    subnets.flatMap((s) => {
      const from = `    ${s.includes(':') ? 'ip6' : 'ip'} saddr ${s} oifname`;
      // The second: a container that calls a published port of its neighbour must get the answer from the host too.
      return [`${from} != "${link}" masquerade`, `${from} "${link}" ct status dnat masquerade`];
    }),
  );
  const published = ports.map(dnat);
  // route_localnet is for what the host itself sends: from a container, 127.0.0.0/8 stays unroutable.
  return `${REMOVAL}table inet weave {
${[...turnedOn].map((family) => `  chain ${mark(family)} {}`).join('\n')}
  chain raw {
    type filter hook prerouting priority raw
    iifname ${GATEWAYS} ip daddr 127.0.0.0/8 drop
  }
  chain forward {
    type filter hook forward priority filter
    ct status dnat accept
    oifname ${GATEWAYS} ct state established,related accept
    oifname ${GATEWAYS} drop
    iifname ${GATEWAYS} meta oifkind "bridge" ct state established,related accept
    iifname ${GATEWAYS} meta oifkind "bridge" drop
${exposedForward(exposed).join('\n')}
  }
  chain prerouting {
    type nat hook prerouting priority dstnat
${published.map((rule) => `    fib daddr type local ${rule}`).join('\n')}
  }
  chain output {
    type nat hook output priority -100
${published.map((rule) => `    fib daddr type local ${rule}`).join('\n')}
  }
  chain postrouting {
    type nat hook postrouting priority srcnat
    oifname ${GATEWAYS} ip saddr 127.0.0.0/8 masquerade
${[...masquerade, ...exposedMasquerade(exposed)].join('\n')}
  }
}
`;
}

function dnat({ protocol, hostAddress, hostPort, port, address }: PortForward): string {
  const v6 = address.includes(':');
  const anywhere = !hostAddress || hostAddress === '0.0.0.0' || hostAddress === '::';
  // From ::1 nothing is ever routed: a call there is refused at once, and the caller tries 127.0.0.1.
  const family = v6 ? 'ip6 daddr != ::1' : 'meta nfproto ipv4';
  const where = anywhere ? family : `${v6 ? 'ip6' : 'ip'} daddr ${hostAddress}`;
  return `${where} ${protocol} dport ${hostPort} dnat ${v6 ? 'ip6' : 'ip'} to ${v6 ? `[${address}]` : address}:${port}`;
}

const has = async (object: string) => (await run('nft', ['list', ...object.split(' ')])).code === 0;

async function nft(script: string): Promise<void> {
  const { code, stderr } = await run('nft', ['-f', '-'], script);
  if (code !== 0)
    throw new WeaveError('WEAVE_FIREWALL_FAILED', `nft refused our table: ${stderr.trim().split('\n')[0]}`);
}
