import { setTimeout as sleep } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import { ALL_AGREE, checked, createLab, type Host } from '../src/index.ts';

const lab = await createLab({ hosts: 3 });
const [a, b, outside] = lab.hosts as [Host, Host, Host];
tap.teardown(() => lab.dispose());
await a.weave('launch', '--local');
await b.weave('launch', '--local', a.ip);
for (const host of [a, b]) await host.weave('prime');

const bare = (host: Host, name: string, ...command: string[]) =>
  host.docker(
    'run',
    '-d',
    '--net',
    'none',
    '--name',
    name,
    'busybox',
    ...(command.length ? command : ['sleep', '3600']),
  );
const heard = async (host: Host, address: string, from?: string) => {
  const ping = ['ping', '-c1', '-W1', address];
  return (await host.exec(from ? ['docker', 'exec', from, ...ping] : ping, { allowFail: true })).code === 0;
};

async function reaches(t: Test, host: Host, address: string, from?: string) {
  let is = false;
  for (let tries = 0; tries < 10 && !is; tries++) is = await heard(host, address, from);
  t.ok(is, `${from ?? host.name} of ${host.name} reaches ${address}`);
}

async function reachesNot(t: Test, host: Host, address: string, from?: string) {
  t.notOk(await heard(host, address, from), `${from ?? host.name} of ${host.name} does not reach ${address}`);
}

const table = async (host: Host) =>
  (await host.exec('nft list table inet weave; iptables -S FORWARD; ip -o addr show', { allowFail: true })).stdout;
/** Without what changes by itself. */
const steady = (text: string) => text.replace(/(valid|preferred)_lft \S+| tentative/g, '');

test('no access before, subnets by themselves, and no access after', async (t) => {
  await bare(a, 'c1');
  await bare(a, 'c2');
  await bare(b, 'd1');
  await a.weave('attach', '10.2.1.1/24', 'fd00:2::1/64', 'c1');
  await a.weave('attach', '10.2.2.1/24', 'c2');
  await b.weave('attach', '10.2.1.2/24', 'fd00:2::2/64', 'd1');
  await reachesNot(t, a, '10.2.1.1');
  const before = steady(await table(a));

  for (const time of ['once', 'twice'])
    t.equal(await a.weave('expose', '10.2.1.100/24', 'fd00:2::100/64'), '10.2.1.100 fd00:2::100', time);
  for (const to of ['10.2.1.1', '10.2.1.2', 'fd00:2::1', 'fd00:2::2']) await reaches(t, a, to);
  for (const to of ['10.2.1.100', 'fd00:2::100']) {
    await reaches(t, a, to, 'c1');
    await reaches(t, b, to, 'd1');
  }
  await reachesNot(t, a, '10.2.2.1');
  await reachesNot(t, a, '10.2.2.1', 'c1');
  t.match(await a.weave('ps'), /^weave:expose ([0-9a-f]{2}:){5}[0-9a-f]{2} 10\.2\.1\.100\/24 fd00:2::100\/64\n/);
  t.equal((await a.weave('ps', 'weave:expose')).split('\n').length, 1);

  t.equal(await b.weave('expose', 'net:10.32.7.0/24'), '10.32.7.1', 'an address of Weave’s choice, on another host');
  t.equal(await b.weave('expose', 'net:10.32.7.0/24'), '10.32.7.1', 'the same again');
  await a.weave('attach', 'net:10.32.7.0/24', 'c2');
  await reaches(t, a, '10.32.7.1', 'c2');
  t.match(await a.exec(['weave', 'expose', '10.32.7.1/24'], { allowFail: true }), {
    ...{ code: 4, stdout: '', stderr: /10\.32\.7\.1 .*in use/ },
  });
  for (const host of [a, b]) t.equal(await checked(host), ALL_AGREE);

  await a.weave('expose', '10.2.2.100/24');
  await reaches(t, a, '10.2.2.1');
  const routed = ['ip route replace 10.2.2.0/24 via 10.2.1.100', 'ip route replace 10.2.1.0/24 via 10.2.2.100'];
  for (const [i, container] of ['c1', 'c2'].entries()) {
    const { stdout } = await a.exec(['docker', 'inspect', '--format', '{{.State.Pid}}', container]);
    await a.exec(`nsenter --net=/proc/${stdout.trim()}/ns/net ${routed[i]}`);
  }
  await reachesNot(t, a, '10.2.2.1', 'c1');

  t.equal(await a.weave('hide', '10.2.2.100/24', '10.2.1.100/24'), '10.2.2.100 10.2.1.100', 'in the order of asking');
  t.equal(await a.weave('hide', '10.2.1.100/24'), '10.2.1.100', 'what is not there is said all the same');
  await reachesNot(t, a, '10.2.1.1');
  await reaches(t, a, 'fd00:2::1');
  t.equal(await a.weave('hide'), 'fd00:2::100');
  t.equal(await a.weave('hide'), '');
  t.equal(steady(await table(a)), before, 'nothing of it is left');
  await b.weave('hide');
});

test('it stays: a daemon that starts again, and what others break', async (t) => {
  await a.weave('expose', '10.2.1.100/24');
  await a.weave('expose', '--without-masquerade', '10.2.3.100/24');
  const set = await table(a);
  t.notMatch(set, /10\.2\.3\.0\/24.* masquerade/);
  await a.weave('stop');
  await reaches(t, a, '10.2.1.1');
  await a.weave('launch', '--local');
  t.equal(steady(await table(a)), steady(set));
  for (const harm of [
    'ip link del weave',
    'ip addr flush dev weave',
    'nft delete table inet weave',
    'ip link set weave down',
  ]) {
    await a.exec(harm);
    for (let tries = 0; tries < 50 && (await checked(a)) !== ALL_AGREE; tries++) await sleep(200);
    t.equal(await checked(a), ALL_AGREE, harm);
    await reaches(t, a, '10.2.1.1');
  }
  await a.weave('hide');
});

test('a service of a container is exported by the host, and one from elsewhere imported', async (t) => {
  await a.weave('expose', '10.2.1.100/24');
  await bare(b, 'web', 'sh', '-c', 'while :; do echo hello | nc -l -p 80; done');
  await b.weave('attach', '10.2.1.3/24', 'web');
  const dnat = (how: string) =>
    a.exec(`iptables -t nat ${how} PREROUTING -p tcp -d ${a.ip} --dport 8080 -j DNAT --to-destination 10.2.1.3:80`);
  const ask = async () =>
    (await outside.exec(`busybox nc -w 3 ${a.ip} 8080 </dev/null`, { allowFail: true })).stdout.trim();
  t.equal(await ask(), '');
  await dnat('-A');
  t.equal(await ask(), 'hello', 'from a host without Weave, to a container of another host');
  await a.weave('hide');
  t.equal(await ask(), '', 'only while it is exposed');
  await dnat('-D');

  await a.weave('expose', '10.2.1.100/24');
  outside.spawn(['busybox', 'nc', '-ll', '-p', '3306', '-e', 'echo', 'database']);
  const rule = `PREROUTING -p tcp -d 10.2.1.100 --dport 3306 -j DNAT --to-destination ${outside.ip}:3306`;
  await a.exec(`iptables -t nat -A ${rule}`);
  const fetched = await b.exec(['docker', 'exec', 'd1', 'sh', '-c', 'nc -w 3 10.2.1.100 3306 </dev/null'], {
    allowFail: true,
  });
  t.equal(fetched.stdout.trim(), 'database', 'a container reaches what is on no network of Weave');
  await a.exec(`iptables -t nat -D ${rule}`);
});

test('a name of the host', async (t) => {
  const found = async (host: Host, wanted: string) => {
    let text = '';
    for (let tries = 0; tries < 50; tries++) {
      text = await host.weave('dns-lookup', 'gate');
      if (text === wanted) break;
      await sleep(100);
    }
    return text;
  };
  for (let times = 0; times < 2; times++) await a.weave('expose', '10.2.1.100/24', '-h', 'gate.weave.local');
  for (const host of [a, b]) t.equal(await found(host, '10.2.1.100'), '10.2.1.100', host.name);
  await a.weave('hide', '10.2.1.100/24');
  for (const host of [a, b]) t.equal(await found(host, ''), '', host.name);
  const refused = await a.exec(['weave', 'expose', '10.2.1.101/24', '-h', 'bad name'], { allowFail: true });
  t.match(refused, { code: 2, stdout: '', stderr: /WEAVE_INVALID_NAME/ });
  t.equal(await a.weave('ps', 'weave:expose'), '', 'nothing is half done');
  await a.weave('expose', '10.2.1.100/24');
});

test('the way out, for containers that take it', async (t) => {
  const { stdout } = await b.exec(['docker', 'inspect', '--format', '{{.State.Pid}}', 'd1']);
  await b.exec(`nsenter --net=/proc/${stdout.trim()}/ns/net ip route add ${outside.ip} via 10.2.1.100`);
  await reaches(t, b, outside.ip, 'd1');
  await a.exec('iptables -P FORWARD ACCEPT');
  await outside.exec(`ip route add 10.2.1.0/24 via ${a.ip}`);
  await reaches(t, outside, '10.2.1.2');
  await a.exec('iptables -P FORWARD DROP');
  t.equal(await a.weave('expose', '--json').then((text) => JSON.parse(text).interface), 'weave');
  await a.weave('reset');
  t.equal((await a.exec('ip -o link show weave', { allowFail: true })).code, 1, 'reset takes it away');
});

test('a bridge of the host', async (t) => {
  await a.weave('launch', '--local', b.ip);
  await a.weave('prime');
  const docker0 = async () => (await a.exec('ip -o link show master docker0', { allowFail: true })).stdout;
  const before = await docker0();
  for (let times = 0; times < 2; times++) t.equal(await a.weave('attach-bridge'), '');
  t.match(await a.weave('ps'), /^bridge:docker0 ([0-9a-f]{2}:){5}[0-9a-f]{2}$/m);
  await a.docker('run', '-d', '--name', 'plain', 'busybox', 'sleep', '3600');
  const address = await a.docker('inspect', '--format', '{{.NetworkSettings.IPAddress}}', 'plain');
  await bare(a, 'on');
  await a.weave('attach', '172.17.0.99/16', 'on');
  await reaches(t, a, address, 'on');
  await reaches(t, a, '172.17.0.99', 'plain');
  await bare(b, 'far');
  await b.weave('attach', '172.17.0.98/16', 'far');
  await reaches(t, b, address, 'far');
  await reaches(t, a, '172.17.0.98', 'plain');
  await a.docker('rm', '-f', 'on');
  await reaches(t, b, address, 'far');
  await bare(a, 'on');
  await a.weave('attach', '172.17.0.99/16', 'on');
  await a.weave('stop');
  await a.weave('launch', '--local');
  await reaches(t, a, '172.17.0.99', 'plain');
  t.equal(await checked(a), ALL_AGREE);
  for (const [name, stderr] of [
    ['nosuch', /there is no bridge nosuch/],
    ['lo', /lo is no bridge/],
  ] as const)
    t.match(await a.exec(['weave', 'attach-bridge', name], { allowFail: true }), { code: 3, stderr });
  t.same(JSON.parse(await a.weave('attach-bridge', '--remove', '--json')), { bridge: 'docker0', joined: false });
  await reachesNot(t, a, '172.17.0.99', 'plain');
  await a.weave('attach-bridge', 'docker0');
  await a.docker('rm', '-f', 'plain', 'on');
  await a.weave('reset');
  t.equal(await docker0(), before, 'reset takes it away');
});
