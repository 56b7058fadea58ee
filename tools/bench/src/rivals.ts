import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Yardstick } from './yardstick.ts';

/** Another way to give a namespace a network: milliseconds from its start to its end. */
export interface Rival {
  name: string;
  attach(number: number, netns: string): Promise<number>;
}

/** Those that are installed here; of the others it is said that they are missing. */
export function rivals(yardstick: Yardstick): Rival[] {
  const all = [
    { rival: cni(yardstick), needs: '/usr/lib/cni/bridge' },
    { rival: netavark(yardstick), needs: '/usr/lib/podman/netavark' },
    { rival: ipScript(yardstick), needs: '/usr/sbin/ip' },
  ];
  for (const { rival, needs } of all) if (!existsSync(needs)) throw new Error(`${rival.name} needs ${needs}`);
  return all.map(({ rival }) => rival);
}

const work = '/run/bench';

function input(name: string, text: string): string {
  mkdirSync(work, { recursive: true });
  writeFileSync(`${work}/${name}`, text);
  return `${work}/${name}`;
}

function cni(yardstick: Yardstick): Rival {
  const ranges = [[{ subnet: '10.70.0.0/16' }], [{ subnet: 'fd00:70::/64' }]];
  const config = input(
    'cni.json',
    JSON.stringify({
      cniVersion: '1.0.0',
      name: 'bench',
      type: 'bridge',
      bridge: 'cni-bench',
      isGateway: true,
      ipam: { type: 'host-local', dataDir: `${work}/cni`, ranges, routes: [{ dst: '0.0.0.0/0' }] },
    }),
  );
  return {
    name: 'CNI bridge ADD',
    attach: (number, netns) =>
      yardstick.run(['/usr/lib/cni/bridge'], {
        input: config,
        env: {
          CNI_COMMAND: 'ADD',
          CNI_CONTAINERID: `c${number}`,
          CNI_NETNS: netns,
          CNI_IFNAME: 'eth0',
          CNI_PATH: '/usr/lib/cni',
        },
      }),
  };
}

function netavark(yardstick: Yardstick): Rival {
  const subnets = [{ subnet: '10.71.0.0/16', gateway: '10.71.0.1' }];
  const network = { name: 'bench', id: '2'.repeat(64), driver: 'bridge', network_interface: 'nav-bench', subnets };
  return {
    name: 'netavark setup',
    attach: (number, netns) => {
      const id = number.toString(16).padStart(64, '0');
      const mine = { interface_name: 'eth0', static_ips: [`10.71.${number >> 8}.${number & 255 || 1}`] };
      const options = {
        container_id: id,
        container_name: basename(netns),
        networks: { bench: mine },
        network_info: {
          bench: {
            ...network,
            ipv6_enabled: false,
            internal: false,
            dns_enabled: false,
            ipam_options: { driver: 'host-local' },
          },
        },
      };
      return yardstick.run(['/usr/lib/podman/netavark', '--config', work, 'setup', netns], {
        input: input(`netavark-${number}.json`, JSON.stringify(options)),
      });
    },
  };
}

function ipScript(yardstick: Yardstick): Rival {
  execFileSync('ip', ['link', 'add', 'ip-bench', 'up', 'type', 'bridge']);
  const script = input(
    'attach.sh',
    `set -e
ip link add v$1 type veth peer name p$1
ip link set v$1 master ip-bench up
ip link set p$1 netns $2
ip -n $2 link set p$1 name eth0
ip -n $2 addr add 10.72.$(($1 / 250)).$(($1 % 250 + 2))/16 dev eth0
ip -n $2 addr add fd00:72::$1/64 dev eth0 nodad
ip -n $2 link set eth0 up
ip -n $2 route add default via 10.72.0.1
`,
  );
  return {
    name: 'script of ip commands',
    attach: (number, netns) => yardstick.run(['sh', script, `${number}`, basename(netns)]),
  };
}
