import { setTimeout as sleep } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import { createLab, type Host, quiet, settled, switchLinks, witness } from '../src/index.ts';

const lab = await createLab({ hosts: [{ iptables: 'nft' }, { iptables: 'legacy' }] });
tap.teardown(() => lab.dispose());

const inside = (host: Host, container: string, command: string) =>
  host.exec(['docker', 'exec', container, 'sh', '-c', command], { allowFail: true });

async function reaches(t: Test, host: Host, from: string, to: string, name: string) {
  t.equal((await inside(host, from, `ping -c1 -W2 ${to}`)).code, 0, name);
}

const addressOf = (host: Host, container: string, field = 'IPAddress') =>
  host.docker('inspect', '--format', `{{range .NetworkSettings.Networks}}{{.${field}}}{{end}}`, container);

/** Everything that Weave makes on a host, made and left there. */
async function furnish(host: Host): Promise<void> {
  const create = (name: string, ...args: string[]) =>
    host.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', ...args, name);
  await create('plain', '--ipv6', '--subnet', '10.50.0.0/24', '--subnet', 'fd00:50::/64');
  await create(
    'own',
    '--ipv6',
    '--subnet',
    '10.51.0.0/24',
    '--subnet',
    'fd00:51::/64',
    '-o',
    'works.weave.gateway=weave',
  );
  for (const net of ['plain', 'own'])
    for (const n of [1, 2])
      await host.docker('run', '-d', '--name', `${net}-${n}`, '--net', net, 'busybox', 'sleep', '3600');
  await host.docker('run', '-d', '--name', 'bare', '--net', 'none', 'busybox', 'sleep', '3600');
  await host.weave('attach', 'bare');
}

async function clear(host: Host): Promise<void> {
  await host.docker('rm', '-f', 'plain-1', 'plain-2', 'own-1', 'own-2', 'bare');
  await host.docker('network', 'rm', 'plain', 'own');
  await host.weave('reset');
}

/** Look-alikes of what is ours, and things that nobody should touch. */
const foreign = `
  ip link add wbforeign type bridge && ip link set wbforeign up && ip addr add 198.51.100.1/24 dev wbforeign
  ip link add wvforeign type veth peer name whforeign && ip link set wvforeign master wbforeign up
  ip link add weavegwx type veth peer name weavegwy
  ip route add 203.0.113.0/24 dev wbforeign
  ip neigh add 198.51.100.9 lladdr 02:00:00:00:00:09 dev wbforeign nud permanent
  bridge fdb add 02:00:00:00:00:08 dev wvforeign master static
  nft add table inet weave2; nft add chain inet weave2 c '{ type filter hook forward priority 5; }'; nft add rule inet weave2 c counter comment weave
  iptables -A INPUT -s 203.0.113.7 -m comment --comment weave -j DROP`;

const strict = `
  iptables -P FORWARD DROP; ip6tables -P FORWARD DROP
  sysctl -q -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1`;

for (const host of lab.hosts) {
  test(`${host.name}: iptables is ${host === lab.hosts[0] ? 'nft' : 'legacy'}, FORWARD drops, bridged frames are filtered`, async (t) => {
    await host.exec(foreign);
    await host.exec(strict);
    // The first network of ours has the engine make docker_gwbridge, which is its own to keep.
    await host.weave('launch', '--local');
    await host.docker('network', 'create', '-d', 'weave', 'first');
    await host.docker('run', '--rm', '--net', 'first', 'busybox', 'true');
    await host.docker('network', 'rm', 'first');
    await host.weave('reset');
    await sleep(1000);
    const before = await quiet(() => witness(host));
    const chains = (await host.exec('iptables -S; ip6tables -S; iptables -t nat -S')).stdout;

    await host.weave('launch', '--local');
    await furnish(host);
    for (const net of ['plain', 'own']) {
      await reaches(t, host, `${net}-1`, await addressOf(host, `${net}-2`), `${net}: IPv4`);
      await reaches(t, host, `${net}-1`, await addressOf(host, `${net}-2`, 'GlobalIPv6Address'), `${net}: IPv6`);
    }
    await reaches(t, host, 'own-1', '192.0.2.1', 'the way out that Weave gives: IPv4');
    await reaches(t, host, 'own-1', '2001:db8::1', 'IPv6');
    t.not((await inside(host, 'plain-1', 'ping -c1 -W1 10.51.0.2')).code, 0, 'no way from one network to the other');

    await clear(host);
    t.strictSame(
      await settled(() => witness(host), before),
      before,
      'after weave reset nothing of ours is left, and what is not ours is untouched',
    );
    t.equal((await host.exec('iptables -S; ip6tables -S; iptables -t nat -S')).stdout, chains);
    t.equal(
      (await host.exec('ls /run/weave /run/docker/plugins; ls /var/lib/weave', { allowFail: true })).stdout.includes(
        'netns',
      ),
      false,
    );
    await t.rejects(switchLinks(host), 'the switch is gone');
  });

  test(`${host.name}: another firewall that drops all forwarding`, async (t) => {
    await host.weave('launch', '--local');
    await furnish(host);
    await host.exec(
      "nft add table inet strict; nft add chain inet strict f '{ type filter hook forward priority 0; policy drop; }'",
    );
    await reaches(t, host, 'plain-1', 'plain-2', 'does not concern containers of one network');
    await host.exec('nft flush ruleset; iptables -F; iptables -t nat -F');
    await reaches(t, host, 'plain-1', 'plain-2', 'nor does its end');
  });
}
