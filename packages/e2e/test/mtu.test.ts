import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import tap, { type Test, test } from 'tap';
import { ALL_AGREE, checked, createLab } from '../src/index.ts';

const lab = await createLab({ hosts: 1 });
const host = lab.hosts[0]!;
tap.teardown(() => lab.dispose());

/** Full packets, but not all that the machine can do. */
const SOME_AT_A_TIME = 'while dd if=/dev/zero bs=64k count=2 2>/dev/null; do sleep 0.05; done';

const program = fileURLToPath(new URL('mtu/resize.ts', import.meta.url));

interface Link {
  ifname: string;
  mtu: number;
}

const inside = async (container: string) => {
  const pid = await host.docker('inspect', '--format', '{{.State.Pid}}', container);
  return (command: string) => host.exec(`nsenter --net=/proc/${pid}/ns/net ${command}`);
};

const mtus = async (list: Promise<{ stdout: string }>) =>
  Object.fromEntries((JSON.parse((await list).stdout) as Link[]).map(({ ifname, mtu }) => [ifname, mtu]));

/** The one connection from a container: what it sends at once, and what got through so far. */
async function flow(from: string) {
  const { stdout } = await (await inside(from))('ss -tiHn state established dport = :5000');
  const numbers = (pattern: RegExp) => [...stdout.matchAll(pattern)].map(([, n]) => Number(n));
  return {
    // Lines that end so: among what follows of a connection there may be a 5000 as well.
    connections: numbers(/:(\d+) +\S+:5000\s*$/gm),
    mss: numbers(/\bmss:(\d+)/g)[0]!,
    acked: numbers(/bytes_acked:(\d+)/g)[0]!,
  };
}

async function flows(t: Test, from: string, what: string): Promise<number> {
  const before = await flow(from);
  await sleep(500);
  const after = await flow(from);
  t.ok(after.acked > before.acked, `${what}: the flow from ${from} goes on`, { before, after });
  return after.mss;
}

const resize = async (t: Test, mtu: number, ...networks: string[]) => {
  await host.weave('stop');
  const args = [process.execPath, '-C', '@weave/source', program, `${mtu}`, ...networks];
  t.equal((await host.exec(args, { timeoutMs: 180_000 })).stdout, '[]', `to ${mtu}: nothing was left to mend`);
};

test('a network gets another MTU while its containers talk', async (t) => {
  await host.weave('launch', '--local');
  const networks = [
    { name: 'four', args: ['--subnet', '10.60.0.0/24'], small: 1230, headers: 52, server: '10.60.0.9' },
    {
      name: 'six',
      args: ['--ipv6', '--subnet', '10.61.0.0/24', '--subnet', 'fd00:61::/64', '--opt', 'works.weave.gateway=weave'],
      ...{ small: 1280, headers: 72, server: 'fd00:61::9' },
    },
  ];
  for (const { name, args, server } of networks) {
    await host.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', '-o', 'mtu=1430', ...args, name);
    const ip = server.includes(':') ? '--ip6' : '--ip';
    const run = ['run', '-d', '--net', name, '--name'];
    await host.docker(
      ...run,
      `${name}-server`,
      ip,
      server,
      'busybox',
      'sh',
      '-c',
      'nc -ll -p 5000 -e sh -c "cat > /dev/null"',
    );
    const client = `sleep 1; ${SOME_AT_A_TIME} | nc ${server} 5000; sleep 3600`;
    await host.docker(...run, `${name}-client`, 'busybox', 'sh', '-c', client);
  }
  const attached = await host.docker('run', '-d', '--net', 'none', '--name', 'attached', 'busybox', 'sleep', '3600');
  await host.weave('attach', '--network', 'six', attached);
  await sleep(1500);

  const connections = new Map<string, number[]>();
  for (const { name } of networks) {
    connections.set(name, (await flow(`${name}-client`)).connections);
    t.equal(connections.get(name)!.length, 1, `${name}: one connection`);
  }

  const all = async (name: string, mtu: number, headers: number, what: string) => {
    t.equal(await flows(t, `${name}-client`, what), mtu - headers, `${what}: it sends what fits`);
    t.same((await flow(`${name}-client`)).connections, connections.get(name), `${what}: the same connection`);
    for (const end of ['server', 'client']) {
      const { lo: _, eth0: __, ...seen } = await mtus((await inside(`${name}-${end}`))('ip -j link'));
      t.same(Object.values(seen), [mtu], `${what}: inside ${name}-${end}`, { seen });
    }
  };

  for (const { name, headers } of networks) await all(name, 1430, headers, 'before');
  for (const { name, small, headers } of networks) {
    await resize(t, small, name);
    await all(name, small, headers, 'shrunk');
  }
  t.match(await mtus((await inside('attached'))('ip -j link')), { 'ethwe-six': 1280 }, 'what was attached by hand too');
  const inSwitch = Object.values(await mtus(host.exec('nsenter --net=/run/weave/netns ip -j link')));
  t.equal(inSwitch.filter((mtu) => mtu === 1430).length, 1, 'only the default network’s bridge is left as it was', {
    inSwitch,
  });
  const gateways = Object.entries(await mtus(host.exec('ip -j link'))).filter(([name]) => name.startsWith('weavegw'));
  t.same(
    gateways.map(([, mtu]) => mtu),
    [1280],
    'nor the gateway',
  );

  await host.weave('launch', '--local');
  t.equal(await checked(host), ALL_AGREE, 'the daemon finds nothing to mend');
  for (const { name, small, headers } of networks) await all(name, small, headers, 'with the daemon');
  await resize(t, 1430, ...networks.map(({ name }) => name));
  for (const { name, headers } of networks) await all(name, 1430, headers, 'grown again');
});

test('what somebody does to it inside a container is mended', async (t) => {
  await host.weave('launch', '--local');
  const pid = await host.docker('inspect', '--format', '{{.State.Pid}}', 'four-client');
  await host.exec(`nsenter --net=/proc/${pid}/ns/net sh -c 'ip link set ethwe0 mtu 1300'`);
  t.match(await host.weave('check', '--fix'), /MTU 1300/);
  t.equal((await mtus((await inside('four-client'))('ip -j link'))).ethwe0, 1430);
  t.equal(await checked(host), ALL_AGREE);
});
