import tap, { type Test, test } from 'tap';
import { ALL_AGREE, checked, createLab, type Host, interfacesOf, startEtcd } from '../src/index.ts';

const lab = await createLab({ hosts: 2 });
tap.teardown(() => lab.dispose());
const [a, b] = lab.hosts as [Host, Host];
const etcd = await startEtcd(a);
for (const host of lab.hosts) {
  await host.weave('launch', '--local', '--store', etcd.url, '--underlay', host.ip);
  await host.weave('prime');
}

const run = (host: Host, name: string, ...args: string[]) =>
  host.exec(['docker', 'run', '-d', '--name', name, ...args, 'busybox', 'sleep', '3600'], { allowFail: true });
const addressesOf = async (host: Host, name: string) => (await interfacesOf(host, name)).ethwe0?.addresses ?? [];
const pings = async (host: Host, name: string, to: string) =>
  (await host.exec(['docker', 'exec', name, 'ping', '-c1', '-w5', to], { allowFail: true })).stdout.includes(
    ' 1 packets received',
  );
const inUseOn = (host: string) =>
  new RegExp(`10\\.8\\.0\\.2 on network \\S+ is in use on host ${host}.*--ipam-driver weave`, 's');

/** Both engines hand out of the same subnet, and know nothing of each other. */
async function neverTwice(t: Test, onA: string, onB: string) {
  t.equal((await run(a, 'a1', '--net', onA)).code, 0);
  t.same(await addressesOf(a, 'a1'), ['10.8.0.2/24']);
  const second = await run(b, 'b1', '--net', onB);
  t.not(second.code, 0, 'the engine of another host would give the same address');
  t.match(second.stderr, inUseOn('h1'));
  t.same(await addressesOf(b, 'b1'), [], 'nobody has it a second time');
  await b.docker('rm', '-f', 'b1');
  t.equal((await run(b, 'b1', '--net', onB, '--ip', '10.8.0.9')).code, 0, 'another one it may have');
  t.ok(await pings(b, 'b1', '10.8.0.2'));
  t.ok(await pings(a, 'a1', '10.8.0.9'));
  await a.docker('rm', '-f', 'a1');
  t.equal((await run(b, 'b2', '--net', onB, '--ip', '10.8.0.2')).code, 0, 'also that one, once it is free');
  const late = await run(a, 'a2', '--net', onA, '--ip', '10.8.0.2');
  t.match(late.stderr, inUseOn('h2'));
  for (const host of lab.hosts) t.equal(await checked(host), ALL_AGREE);
  await a.docker('rm', '-f', 'a2');
  await b.docker('rm', '-f', 'b1', 'b2');
}

test('a network with Docker’s own IPAM, made on one host and known on all', async (t) => {
  await a.docker('network', 'create', '-d', 'weave', '--subnet', '10.8.0.0/24', 'blue');
  await b.exec('until docker network inspect blue >/dev/null 2>&1; do sleep 0.1; done', { timeoutMs: 10_000 });
  await neverTwice(t, 'blue', 'blue');
});

test('the same by hand, where an engine has another network of that name', async (t) => {
  await a.docker('network', 'rm', 'blue');
  await b.exec('while docker network inspect blue >/dev/null 2>&1; do sleep 0.1; done', { timeoutMs: 10_000 });
  await b.docker('network', 'create', 'blue');
  await a.docker('network', 'create', '-d', 'weave', '--subnet', '10.8.0.0/24', 'blue');
  await b.exec('until weave network inspect blue >/dev/null 2>&1; do sleep 0.1; done', { timeoutMs: 10_000 });
  const make = (subnet: string, name: string) =>
    b.exec(
      ['docker', 'network', 'create', '-d', 'weave', '--subnet', subnet, '--opt', 'works.weave.network=blue', name],
      {
        allowFail: true,
      },
    );
  const strange = await make('10.7.0.0/24', 'no');
  t.match(strange.stderr, /10\.7\.0\.0\/24 is not a subnet of network blue.*10\.8\.0\.0\/24/s);
  t.equal((await make('10.8.0.0/24', 'mine')).code, 0);
  await neverTwice(t, 'blue', 'mine');
});

test('while the other host is not heard of', async (t) => {
  t.equal((await run(a, 'a1', '--net', 'blue')).code, 0);
  await etcd.kill();
  const alone = await run(b, 'b1', '--net', 'mine', '--ip', (await addressesOf(a, 'a1'))[0]!.split('/')[0]!);
  t.match(alone.stderr, /may be in use elsewhere: the directory does not answer/);
  await b.docker('rm', '-f', 'b1');
  await etcd.start();
  for (const host of lab.hosts) t.equal(await checked(host), ALL_AGREE);
});
