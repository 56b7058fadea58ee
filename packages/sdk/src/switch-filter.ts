import { run } from './run.ts';

/**
 * What each interface that comes up says to all others, though nobody here needs it: which solicited-node groups it
 * listens to (MLDv2; a report's first record begins 12 bytes into its ICMPv6 message, 8 of them the header; groups that
 * programs join are left alone), that it looks for a router, and that it wants to know whether its address is taken
 * (duplicate address detection; that is ours to know). The kernel says it with RTNL held: with thousands of ports every
 * attach would wait for thousands of frames.
 *
 * And gratuitous ARP, by which an address moves to another container: `neigh_suppress` keeps it from the overlay, and the
 * address would be lost to other hosts for most of a minute. So it asks for nobody's address instead of its own: it
 * crosses, and tells the same. That two addresses of a frame are equal is found by looking up one beside the other.
 * (Since Linux 6.19 `neigh_forward_grat` lets it cross, and unsolicited advertisements, for which this has no way.)
 *
 * And on networks of 1280 bytes, the least that IPv6 takes, its TCP sends segments of 1210: over IPv6 with the least that
 * takes, VXLAN has room for no more, the kernel does not cut it, and of less than 1280 it cannot be told.
 */
const RULES = `add table bridge weave
delete table bridge weave
table bridge weave {
  set announced { type ipv4_addr . ipv4_addr; flags dynamic,timeout; timeout 1s; size 65535; }
  chain prerouting {
    type filter hook prerouting priority -300
    icmpv6 type mld2-listener-report @th,96,104 0xff0200000000000000000001ff drop
    icmpv6 type nd-router-solicit drop
    ip6 saddr :: icmpv6 type nd-neighbor-solicit drop
    update @announced { arp saddr ip . arp saddr ip }
    arp saddr ip . arp daddr ip @announced arp daddr ip set 255.255.255.255
    ether type ip6 tcp flags & syn == syn tcp option maxseg size 1220 tcp option maxseg size set 1150
  }
}
`;

export interface SwitchFilter {
  /** Answers why not, where it cannot: everything works without, but slower with thousands. */
  set(): Promise<string | undefined>;
  /** Whether what was set is still so. */
  isAsSet(): Promise<boolean>;
}

/** Keeps the switch quiet. */
export function quietSwitch(switchPath: string): SwitchFilter {
  const nft = (args: string[], input?: string) => run('nsenter', [`--net=${switchPath}`, 'nft', ...args], input);
  // As nft shows it, which is not as it was written.
  const listing = async () => (await nft(['--stateless', '--terse', 'list', 'table', 'bridge', 'weave'])).stdout;
  let shown: string | undefined;
  return {
    async set() {
      const { code, stderr } = await nft(['-f', '-'], RULES);
      if (code === 0) shown = await listing();
      if (code === 0) return undefined;
      return `the switch is not filtered (${stderr.trim().split('\n')[0]}): with thousands of containers, starting one is slow`;
    },
    // Where it could not be set it is not missed.
    isAsSet: async () => shown === undefined || (await listing()) === shown,
  };
}
