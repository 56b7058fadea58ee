import type { Host } from './host.ts';

/**
 * All that Weave may leave on a host: equal before and after where it left nothing. The link-local address of eth0 is
 * not of it: the kernel looks for another of the same for a second or two before it is there.
 */
export async function traces(host: Host): Promise<string> {
  const script = `exec 2>/dev/null
    ip -br link | awk '{print $1}'; ip netns; ip rule; ip route show table all | grep -v -e docker0 -e 'local fe80::.* dev eth0'
    nft list tables | grep weave; iptables -S; ip6tables -S; iptables -t nat -S; cat /proc/sys/net/ipv4/ip_forward
    docker ps -aq; docker volume ls -q; docker network ls --format '{{.Name}}'; docker images -q
    find /run/weave /run/docker/plugins /var/lib/weave ! -type d ! -path '*/wait/*'; mount | grep /run/weave; pgrep -a 'etcd|node'; true`;
  return (await host.exec(script)).stdout;
}
