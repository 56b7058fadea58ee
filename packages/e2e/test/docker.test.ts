import { setTimeout as sleep } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import { createLab, quiet, settled, switchLinks, witness } from '../src/index.ts';

const lab = await createLab({ hosts: 1 });
const host = lab.hosts[0]!;
tap.teardown(() => lab.dispose());
await host.weave('launch', '--local');

const underlayAddress = '192.0.2.1';

const network = (name: string, ...args: string[]) =>
  host.docker('network', 'create', '--driver', 'weave', '--ipam-driver', 'weave', ...args, name);
const run = (name: string, net: string, ...args: string[]) =>
  host.docker('run', '-d', '--name', name, '--net', net, ...args, 'busybox', 'sleep', '3600');
const inside = (container: string, command: string) =>
  host.exec(['docker', 'exec', container, 'sh', '-c', command], { allowFail: true });
const addressOf = (container: string, net: string, field = 'IPAddress') =>
  host.docker('inspect', '--format', `{{(index .NetworkSettings.Networks "${net}").${field}}}`, container);

async function reaches(t: Test, from: string, to: string, name = `${from} reaches ${to}`) {
  const { code, stdout } = await inside(from, `ping -c1 -W2 ${to}`);
  t.equal(code, 0, name, { stdout });
}

async function misses(t: Test, from: string, to: string, name = `${from} does not reach ${to}`) {
  t.not((await inside(from, `ping -c1 -W1 ${to}`)).code, 0, name);
}

const remove = async (containers: string[], networks: string[]) => {
  if (containers.length > 0) await host.docker('rm', '-f', ...containers);
  for (const name of networks) await host.docker('network', 'rm', name);
};

test('two networks and an internal one, each by itself', async (t) => {
  await network('red', '--ipv6', '--subnet', '10.50.0.0/24', '--subnet', 'fd00:50::/64');
  await network('blue', '--ipv6', '--subnet', '10.51.0.0/24', '--subnet', 'fd00:51::/64');
  await network('inner', '--internal', '--ipv6', '--subnet', '10.52.0.0/24', '--subnet', 'fd00:52::/64');
  const echo = ['--sysctl', 'net.ipv4.icmp_echo_ignore_broadcasts=0'];
  for (const net of ['red', 'blue', 'inner']) {
    await run(`${net}-1`, net, ...echo);
    await run(`${net}-2`, net, '--cap-add', 'NET_ADMIN');
  }
  await run('both', 'red');
  await host.docker('network', 'connect', 'blue', 'both');

  await t.test('talk inside, by address, by name and by multicast', async (t) => {
    for (const net of ['red', 'blue', 'inner']) {
      await reaches(t, `${net}-2`, await addressOf(`${net}-1`, net));
      await reaches(t, `${net}-2`, await addressOf(`${net}-1`, net, 'GlobalIPv6Address'));
      await reaches(t, `${net}-2`, `${net}-1`, 'by name');
      await reaches(t, `${net}-2`, '224.0.0.1', 'multicast IPv4');
      await reaches(t, `${net}-2`, 'ff02::1%ethwe0', 'multicast IPv6');
    }
  });

  await t.test('do not talk across', async (t) => {
    await misses(t, 'red-2', await addressOf('blue-1', 'blue'));
    await misses(t, 'red-2', await addressOf('blue-1', 'blue', 'GlobalIPv6Address'));
    await misses(t, 'inner-2', await addressOf('blue-1', 'blue'));
    await misses(t, 'inner-2', lab.hosts[0]!.ip, 'an internal network has no way out');
    await reaches(t, 'red-2', host.ip, 'the others have one');
  });

  await t.test('not even by force', async (t) => {
    for (const from of ['red-2', 'inner-2']) {
      const forge = 'ip addr add 10.51.0.99/24 dev ethwe0; ip -6 addr add fd00:51::99/64 dev ethwe0 nodad; ip route';
      await inside(from, forge);
      await misses(t, from, '10.51.0.2', `${from} with an address of the other network`);
      await misses(t, from, 'fd00:51::2');
      await inside(from, 'ip addr del 10.51.0.99/24 dev ethwe0; ip -6 addr del fd00:51::99/64 dev ethwe0');
      for (const via of ['10.50.0.1', '10.51.0.1', '172.18.0.1', '10.52.0.1']) {
        await inside(
          from,
          `ip route replace 10.51.0.0/24 via ${via} dev ethwe0 onlink || ip route replace 10.51.0.0/24 via ${via}`,
        );
        await misses(t, from, '10.51.0.2', `${from} with a route via ${via}`);
      }
    }
  });

  await t.test('one container on two of them talks to both', async (t) => {
    await reaches(t, 'both', await addressOf('red-1', 'red'));
    await reaches(t, 'both', await addressOf('blue-1', 'blue', 'GlobalIPv6Address'));
    await host.docker('network', 'disconnect', 'red', 'both');
    await misses(t, 'both', await addressOf('red-1', 'red'));
    await reaches(t, 'both', await addressOf('blue-1', 'blue'));
  });

  const all = ['red-1', 'red-2', 'blue-1', 'blue-2', 'inner-1', 'inner-2', 'both'];
  await remove(all, ['red', 'blue', 'inner']);
  t.equal((await switchLinks(host)).length, 2, 'only lo and the default bridge are left in the switch');
});

test('what docker inspect and weave ps show', async (t) => {
  await network('shown');
  await run('seen', 'shown');
  const inspected = await host.docker(
    'inspect',
    '--format',
    '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}',
    'seen',
  );
  t.match((await inside('seen', 'ip -o -4 addr show ethwe0')).stdout, `inet ${inspected}/`);
  const mac = await addressOf('seen', 'shown', 'MacAddress');
  t.equal(
    mac,
    `5a:77:${inspected
      .split('.')
      .map((n) => Number(n).toString(16).padStart(2, '0'))
      .join(':')}`,
  );
  t.equal(await host.weave('ps', 'seen'), `seen ${mac} ${inspected}/20`);
  const networks = JSON.parse(await host.weave('network', 'ls', '--json')) as { name: string; owner: string }[];
  t.match(
    networks.find((n) => n.name === 'shown'),
    { owner: 'docker' },
    'the network has the name that Docker gave it',
  );
  await remove(['seen'], ['shown']);
});

test('the options of docker network create and docker run', async (t) => {
  await network(
    'opts',
    '--subnet',
    '10.60.0.0/16',
    '--ip-range',
    '10.60.5.0/24',
    '--gateway',
    '10.60.0.9',
    '--aux-address',
    'printer=10.60.5.1',
    '-o',
    'mtu=1376',
  );
  await run('lowest', 'opts');
  t.equal(await addressOf('lowest', 'opts'), '10.60.5.0', 'the lowest of the range');
  await run('next', 'opts');
  t.equal(await addressOf('next', 'opts'), '10.60.5.2', 'past the auxiliary address');
  await run('fixed', 'opts', '--ip', '10.60.9.9', '--mac-address', '02:aa:bb:cc:dd:ee');
  t.equal(await addressOf('fixed', 'opts'), '10.60.9.9');
  t.match((await inside('fixed', 'ip link show ethwe0')).stdout, /mtu 1376[\s\S]*02:aa:bb:cc:dd:ee/);
  await t.rejects(run('twice', 'opts', '--ip', '10.60.9.9'), /10\.60\.9\.9 is in use/);
  await host.docker('rm', 'twice');
  await t.rejects(
    network('typo', '-o', 'works.weave.multicats=true'),
    /unknown option works\.weave\.multicats.*works\.weave\.multicast/s,
  );
  await t.rejects(network('bad', '-o', 'mtu=12'), /mtu=12 is not possible/);
  await t.rejects(network('again', '--subnet', '10.60.7.0/24'), /overlaps 10\.60\.0\.0\/16 of network opts/);
  await remove(['lowest', 'next', 'fixed'], ['opts']);

  await network('again', '--subnet', '10.60.7.0/24');
  await network('other');
  t.not(await subnetOf('other'), await subnetOf('again'), 'a subnet of its own is chosen');
  await remove([], ['again', 'other']);

  await network('nocast', '-o', 'works.weave.multicast=false');
  await run('plain', 'nocast');
  t.notMatch((await inside('plain', 'ip route')).stdout, '224.0.0.0/4');
  await remove(['plain'], ['nocast']);
});

const subnetOf = (name: string) =>
  host.docker('network', 'inspect', '--format', '{{(index .IPAM.Config 0).Subnet}}', name);

test("with Docker's own IPAM, and by the name that Weave 2.8 had", async (t) => {
  await host.docker('network', 'create', '--driver=weave', 'weave1');
  await host.docker('network', 'create', '--driver=weavemesh', '--ipam-driver=weavemesh', 'mesh1');
  for (const net of ['weave1', 'mesh1']) {
    await run(`${net}-a`, net);
    await run(`${net}-b`, net);
    await reaches(t, `${net}-a`, await addressOf(`${net}-b`, net));
  }
  await remove(['weave1-a', 'weave1-b', 'mesh1-a', 'mesh1-b'], ['weave1', 'mesh1']);
});

test('connect and disconnect of running, created and stopped containers', async (t) => {
  await network('late', '--subnet', '10.61.0.0/24');
  await host.docker('run', '-d', '--name', 'running', 'busybox', 'sleep', '3600');
  await host.docker('create', '--name', 'created', 'busybox', 'sleep', '3600');
  await host.docker('run', '--name', 'stopped', 'busybox', 'true');
  for (const name of ['running', 'created', 'stopped']) await host.docker('network', 'connect', 'late', name);
  await host.docker('start', 'created');
  t.match((await inside('running', 'ip -o -4 addr')).stdout, '10.61.0.');
  t.match((await inside('created', 'ip -o -4 addr')).stdout, '10.61.0.');
  await reaches(t, 'running', 'created', 'by name');
  for (const name of ['running', 'created', 'stopped']) await host.docker('network', 'disconnect', 'late', name);
  t.notMatch((await inside('running', 'ip -o -4 addr')).stdout, '10.61.0.');
  t.equal((await host.weave('ps')).includes('10.61.0.'), false);
  await remove(['running', 'created', 'stopped'], ['late']);
});

test('published ports: by the engine, and by weave', async (t) => {
  const web = ['busybox', 'sh', '-c', 'mkdir /w && echo here >/w/index.html && httpd -f -p 80 -h /w'];
  const get = (url: string) =>
    host.exec(['curl', '-s', '-m', '3', url], { allowFail: true }).then(({ stdout }) => stdout.trim());
  await network('viagw');
  await host.docker('run', '-d', '--name', 'web1', '--net', 'viagw', '-p', '8081:80', ...web);
  t.match(await host.docker('port', 'web1'), '8081');
  t.equal(await get('http://127.0.0.1:8081/'), 'here');

  await network(
    'own',
    '-o',
    'works.weave.gateway=weave',
    '--ipv6',
    '--subnet',
    '10.62.0.0/24',
    '--subnet',
    'fd00:62::/64',
  );
  await host.docker('run', '-d', '--name', 'web2', '--net', 'own', '-p', '8082:80', ...web);
  await sleep(200);
  for (const at of ['127.0.0.1', host.ip, `[${host.ip6}]`, 'localhost'])
    t.equal(await get(`http://${at}:8082/`), 'here', `on ${at}`);
  await reaches(t, 'web2', underlayAddress, 'and the way out');
  t.match(
    (await inside('web2', 'ip route; ip -6 route')).stdout,
    /default via 10\.62\.0\.1[\s\S]*default via fd00:62::1/,
  );
  await t.rejects(
    host.docker('run', '--rm', '--net', 'own', '-p', '8082:80', 'busybox', 'true'),
    /host port 8082\/tcp is published by container web2/,
  );

  await host.docker('run', '-d', '--name', 'bridged', '-p', '8084:80', ...web);
  const bridged = await host.docker('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'bridged');
  await misses(t, 'web2', bridged, "a container on the engine's own network is not reached");
  await reaches(t, 'bridged', underlayAddress, 'which has its own way out');
  await t.rejects(
    host.docker('run', '--rm', '--net', 'own', '-p', '8084:80', 'busybox', 'true'),
    /something on this host listens on port 8084\/tcp/,
  );
  t.equal(await get('http://127.0.0.1:8084/'), 'here', 'a port of somebody else is not taken away');
  await remove(['bridged'], []);

  await network('shut', '-o', 'works.weave.gateway=none');
  await run('quiet', 'shut');
  t.notMatch((await inside('quiet', 'ip route')).stdout, 'default', 'neither way out');
  await remove(['web1', 'web2', 'quiet'], ['viagw', 'own', 'shut']);
  t.equal(await get('http://127.0.0.1:8082/'), '', 'gone with its container');
  t.equal(
    (await host.exec('nft list tables')).stdout.includes('inet weave'),
    false,
    'and with the last such network our table',
  );
});

test('the interface is there before the first instruction: 100 of 100', async (t) => {
  await network('early');
  const probe = 'ip -o addr show dev ethwe0 | grep -q "inet 10" && ip route | grep -q ethwe0 && echo there';
  let there = 0;
  for (let batch = 0; batch < 25; batch++) {
    const four = Array.from({ length: 4 }, () =>
      host.docker('run', '--rm', '--net', 'early', 'busybox', 'sh', '-c', probe),
    );
    there += (await Promise.all(four)).filter((out) => out === 'there').length;
  }
  t.equal(there, 100);
  await remove([], ['early']);
});

test('twenty at once, and nothing left of them', async (t) => {
  await network('crowd', '--subnet', '10.63.0.0/24');
  const seen = async () => ({ ...(await witness(host)), switch: await switchLinks(host) });
  const before = await quiet(seen);
  const names = Array.from({ length: 20 }, (_, i) => `crowd-${i}`);
  await Promise.all(names.map((name) => run(name, 'crowd')));
  const addresses = await Promise.all(names.map((name) => addressOf(name, 'crowd')));
  t.equal(new Set(addresses).size, 20, 'every address once');
  await reaches(t, 'crowd-0', addresses[19]!);
  await Promise.all(names.map((name) => host.docker('rm', '-f', name)));
  t.strictSame(await settled(seen, before), before);
  t.equal(await host.weave('ps'), '');
  await remove([], ['crowd']);
});

test('networks of a running container, over restarts of weave, of the engine and of it', async (t) => {
  await host.dockerd.stop();
  await host.dockerd.start({ args: ['--live-restore'] });
  await network('late', '--ipv6', '--subnet', '10.66.0.0/24', '--subnet', 'fd00:66::/64');
  await network('agate', '--subnet', '10.67.0.0/24', '-o', 'works.weave.gateway=weave');
  await host.docker('run', '-d', '--name', 'bridged', 'busybox', 'sleep', '3600');
  await run('far', 'late', '--sysctl', 'net.ipv4.icmp_echo_ignore_broadcasts=0');
  await host.docker('network', 'connect', '--link-local-ip', '169.254.7.7', 'late', 'bridged');
  for (const name of ['bridged', 'far']) await host.docker('network', 'connect', 'agate', name);

  const isRight = async (t: Test) => {
    const shown = (await inside('bridged', 'ip addr')).stdout;
    for (const field of ['IPAddress', 'GlobalIPv6Address', 'MacAddress'])
      t.match(shown, await addressOf('bridged', 'late', field), field);
    t.match(shown, '169.254.7.7/', 'what the engine alone knows of');
    await reaches(t, 'bridged', await addressOf('far', 'late'));
    await reaches(t, 'bridged', await addressOf('far', 'late', 'GlobalIPv6Address'));
    await reaches(t, 'bridged', await addressOf('far', 'agate'));
    await reaches(t, 'bridged', await addressOf('bridged', 'late', 'GlobalIPv6Address'), 'itself');
    await reaches(t, 'bridged', 'far', 'by name');
    await reaches(t, 'far', 'bridged', 'by name');
    await reaches(t, 'bridged', '224.0.0.1', 'multicast');
    await reaches(t, 'bridged', underlayAddress, 'the way out');
    t.match((await inside('bridged', 'ip route')).stdout, 'default via 10.67.0.1', 'which is Weave');
    t.equal(await settled(() => counted('bridged'), 3), 3, 'docker stats counts all of them');
  };
  await t.test('connected', isRight);

  await host.weave('stop');
  await host.weave('launch', '--local');
  await host.dockerd.restart('SIGKILL');
  await t.test('as the engine finds it, which did not run for a while', isRight);

  await host.docker('network', 'disconnect', 'agate', 'bridged');
  t.notMatch((await inside('bridged', 'ip addr')).stdout, '10.67.0.', 'disconnected');
  t.match((await inside('bridged', 'ip route')).stdout, 'default via 172.17.0.1', 'the way out is the bridge’s again');
  await reaches(t, 'bridged', await addressOf('far', 'late'), 'the other network goes on');
  await host.docker('network', 'connect', 'agate', 'bridged');
  await t.test('connected again', isRight);

  await host.docker('restart', '-t', '0', 'bridged');
  await t.test('restarted', isRight);

  await remove(['bridged', 'far'], ['late', 'agate']);
  t.equal((await switchLinks(host)).length, 2, 'nothing is left of them');
});

/** How many interfaces the engine counts the traffic of. */
async function counted(container: string): Promise<number> {
  const url = `http://engine/containers/${container}/stats?stream=false`;
  const stats = (await host.json(['curl', '-s', '--unix-socket', '/run/docker.sock', url])) as { networks?: object };
  // Absent where the engine has just taken no sample.
  return Object.keys(stats.networks ?? {}).length;
}
