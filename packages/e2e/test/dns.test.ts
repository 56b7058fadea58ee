import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tap, { test } from 'tap';
import {
  ALL_AGREE,
  checked,
  createLab,
  DNS,
  dig,
  killDaemon,
  resolves,
  soonNamed,
  spread,
  status,
  within,
} from '../src/index.ts';

const lab = await createLab({ hosts: 1 });
const host = lab.hosts[0]!;
tap.teardown(() => lab.dispose());
await host.weave('launch', '--local', '--log-level', 'debug');
const args = (await host.weave('dns-args')).split(' ');
for (const [name, ...options] of [
  ['blue', '--ipv6', '--subnet', '10.50.0.0/24', '--subnet', 'fd00:50::/64'],
  ['red', '--subnet', '10.51.0.0/24'],
  ['inner', '--internal', '--subnet', '10.52.0.0/24'],
  ['own', '--opt', 'works.weave.gateway=weave', '--subnet', '10.53.0.0/24'],
  ['shut', '--opt', 'works.weave.gateway=none', '--subnet', '10.54.0.0/24'],
  ['six', '--ipv6', '--subnet', '10.55.0.0/24', '--subnet', 'fd00:55::/64'],
] as const)
  await host.docker('network', 'create', '-d', 'weave', '--ipam-driver', 'weave', ...options, name);

const run = (name: string, ...options: string[]) =>
  host.docker('run', '-d', '--name', name, ...args, ...options, 'busybox', 'sleep', '3600');
const inside = async (container: string, command: string) =>
  (await host.exec(['docker', 'exec', container, 'sh', '-c', command], { allowFail: true })).stdout.trim();

test('every sort of container asks, whatever its way out is', async (t) => {
  const sorts: Record<string, string> = { blue: '10.50.0', inner: '10.52.0', own: '10.53.0', shut: '10.54.0' };
  for (const [network, prefix] of Object.entries(sorts)) {
    const [asker, asked] = [`${network}-1`, `${network}-2`];
    await run(asker, '--net', network);
    await run(asked, '--net', network);
    const address = (await host.weave('dns-lookup', asked)).split('\n')[0]!;
    t.match(address, prefix, `${asked} has a name`);
    const want = (await host.weave('dns-lookup', asked)).split('\n');
    t.same(
      (
        await resolves(
          host,
          asker,
          `${asked}.weave.local`,
          want.filter((a) => !a.includes(':')),
        )
      ).got,
      [address],
    );
    // By the engine's own DNS, which forwards it from the container's network.
    t.match(
      await inside(asker, `nslookup ${asked}.weave.local`),
      `Address: ${address}`,
      `${network}, and the engine's`,
    );
  }
  await run('bare', '--net', 'none', '-h', 'bare.weave.local');
  await host.weave('attach', 'bare');
  t.match(await inside('bare', 'cat /etc/resolv.conf'), `nameserver ${DNS}`);
  t.match(await inside('bare', 'nslookup bare.weave.local'), 'Address: 10.32.0.1');
  await run('odd', '--net', 'none', '-h', 'odd.weave.local');
  await host.weave('attach', '10.2.1.1/24', 'odd');
  t.match(await dig(host, 'odd', 'odd.weave.local'), ['10.2.1.1'], 'one that is in no subnet');
  t.match(await dig(host, 'odd', '+tcp', 'odd.weave.local'), ['10.2.1.1'], 'over TCP');
  await run('only6', '--net', 'none');
  await host.weave('attach', 'fd77:6561:7665::66/64', 'only6');
  const over6 = await within(host, 'only6', 'dig +short @fd77:6561:7665:53::53 only6.weave.local AAAA');
  t.equal(over6, 'fd77:6561:7665::66', 'one without IPv4');
  t.equal(await checked(host), ALL_AGREE);
});

test('names, and what is not one', async (t) => {
  await run('web', '--net', 'blue', '-h', 'shop.weave.local', '--network-alias', 'api');
  for (const name of ['web', 'shop', 'api']) {
    t.same((await resolves(host, 'blue-1', `${name}.weave.local`, ['10.50.0.4'])).got, ['10.50.0.4'], name);
    t.same(await dig(host, 'blue-1', `${name}.weave.local`, 'AAAA'), ['fd00:50::4'], `${name}, IPv6`);
  }
  t.same(await dig(host, 'blue-1', 'web.'), ['10.50.0.4'], 'one label');
  t.same(await dig(host, 'blue-1', 'WeB.wEaVe.LoCaL'), ['10.50.0.4'], 'in any case');
  t.same(await dig(host, 'blue-1', '-x', '10.50.0.4'), ['shop.weave.local.'], 'backwards');
  t.same(await dig(host, 'blue-1', '-x', 'fd00:50::4'), ['shop.weave.local.'], 'and IPv6');
  t.equal(await status(host, 'blue-1', 'web.weave.local', 'MX'), 'NOERROR');
  t.equal(await status(host, 'blue-1', 'nobody.weave.local'), 'NXDOMAIN');
  t.equal(await status(host, 'inner-1', 'web.weave.local'), 'NXDOMAIN', 'of a network that the asker is not on');
  await host.docker('network', 'connect', '--alias', 'late', 'inner', 'web');
  t.same((await resolves(host, 'inner-1', 'late.weave.local', ['10.52.0.4'])).got, ['10.52.0.4'], 'connected later');
  t.same(await dig(host, 'web', 'inner-1.weave.local'), ['10.52.0.2'], 'who is on two networks sees both');
  t.same(await dig(host, 'web', 'blue-1.weave.local'), ['10.50.0.2']);
  await host.docker('network', 'disconnect', 'inner', 'web');
  t.same((await resolves(host, 'inner-1', 'late.weave.local', [], 1000)).got, [], 'and disconnected');
  t.equal(await status(host, 'web', 'inner-1.weave.local'), 'NXDOMAIN');
});

test('who says to be of another network is told nothing of it', async (t) => {
  const as = async (source: string, name: string) => {
    const own = `${source}/32 dev ethwe0`;
    const asking = `dig +short +time=1 +tries=1 -b ${source} @${DNS} ${name}.weave.local`;
    return within(host, 'inner-1', `ip addr add ${own}; ${asking}; ip addr del ${own}`);
  };
  t.match(await as('10.52.0.99', 'inner-2'), /^10\.52\.0\./, 'of its own');
  t.notMatch(await as('10.50.0.99', 'web'), '10.50.0.4', 'of that one');
  t.notMatch(await as('192.0.2.1', 'web'), '10.50.0.4', 'of none');
});

test('the resolvers that programs have: glibc, musl, busybox', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weave-musl-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'lookup.c'), LOOKUP);
  execFileSync('musl-gcc', ['-static', '-o', join(dir, 'lookup'), join(dir, 'lookup.c')]);
  for (const container of ['blue-1', 'bare']) {
    const [name, want] = container === 'bare' ? ['bare', '10.32.0.1'] : ['web', '10.50.0.4'];
    await host.docker('cp', join(dir, 'lookup'), `${container}:/lookup`);
    for (const each of [name, `${name}.weave.local`]) {
      t.match(await inside(container, `/lookup ${each}`), want!, `musl in ${container}: ${each}`);
      t.match(await within(host, container, `getent ahosts ${each}`), want!, `glibc in ${container}: ${each}`);
      t.match(await inside(container, `ping -4 -c1 -W2 ${each}`), `(${want})`, `busybox in ${container}: ${each}`);
    }
  }
  t.match(await within(host, 'bare', 'getent hosts 10.32.0.1'), /bare\.weave\.local/, 'backwards');
});

const LOOKUP = `
#include <netdb.h>
#include <stdio.h>
int main(int argc, char **argv) {
  struct addrinfo *all, hints = {.ai_socktype = SOCK_STREAM};
  if (argc < 2 || getaddrinfo(argv[1], 0, &hints, &all)) return 1;
  for (; all; all = all->ai_next) {
    char text[64];
    getnameinfo(all->ai_addr, all->ai_addrlen, text, sizeof text, 0, 0, NI_NUMERICHOST);
    puts(text);
  }
}
`;

/** Over which interface it asks. */
const way = (container: string) => inside(container, `ip route | grep '^${DNS} ' | awk '{print $3}'`);

test('the one way to the DNS goes on when its interface leaves', async (t) => {
  const asks = async (what: string, ...links: string[]) => {
    const link = await way('multi');
    t.ok(links.includes(link), `${what}: over ${link || 'none'}`);
    t.match(await inside('multi', `ping -c1 -W2 ${DNS}`), '1 packets received', what);
  };
  await run('multi', '--net', 'blue');
  await host.docker('network', 'connect', 'red', 'multi');
  await asks('the first', 'ethwe0');
  await host.docker('network', 'disconnect', 'blue', 'multi');
  await asks('the other network of the engine', 'ethwe1');
  await host.docker('network', 'connect', 'blue', 'multi');
  await asks('who comes back finds it there', 'ethwe1');
  await host.weave('attach', 'multi');
  await asks('so does who is attached', 'ethwe1');
  await host.docker('network', 'disconnect', 'red', 'multi');
  await asks('one of those that are left', 'ethwe2', 'ethwe');
  await host.docker('network', 'disconnect', 'blue', 'multi');
  await asks('the attachment', 'ethwe');
  await host.docker('network', 'connect', 'red', 'multi');
  await asks('before a network that comes', 'ethwe');
  await host.weave('detach', 'multi');
  await asks('that one', 'ethwe3');
  t.same((await resolves(host, 'multi', 'multi.weave.local', ['10.51.0.2'])).got, ['10.51.0.2']);
  t.equal(await checked(host), ALL_AGREE);
});

test('renamed, killed, started again', async (t) => {
  await host.docker('rename', 'web', 'web2');
  t.same((await resolves(host, 'blue-1', 'web2.weave.local', ['10.50.0.4'])).got, ['10.50.0.4'], 'renamed');
  t.same(await dig(host, 'blue-1', 'web.weave.local'), []);
  const pid = await host.docker('inspect', '--format', '{{.State.Pid}}', 'web2');
  await host.exec(`kill -KILL ${pid.trim()}`);
  const { got, took } = await resolves(host, 'blue-1', 'web2.weave.local', [], 1000);
  t.same(got, [], 'killed');
  t.comment(`seen: its name was gone ${Math.round(took)} ms after kill -9`);
  await host.docker('kill', 'bare');
  t.same((await resolves(host, 'odd', 'bare.weave.local', [], 1000)).got, [], 'of one that was attached');
  await host.docker('start', 'web2', 'bare');
  t.same((await resolves(host, 'blue-1', 'web2.weave.local', ['10.50.0.4'])).got, ['10.50.0.4']);
  t.same((await resolves(host, 'odd', 'bare.weave.local', ['10.32.0.1'])).got, ['10.32.0.1']);
});

test('all names are back after the daemon was killed, and what happened meanwhile is known', async (t) => {
  const names = async () =>
    JSON.parse(await host.weave('status', 'dns', '--json'))
      .map((e: { id: string }) => e.id)
      .sort();
  const before = await names();
  t.ok(before.length > 10);
  await killDaemon(host);
  await host.docker('rename', 'web2', 'web3');
  await host.weave('launch', '--local', '--log-level', 'debug');
  t.same((await resolves(host, 'blue-1', 'web3.weave.local', ['10.50.0.4'])).got, ['10.50.0.4']);
  t.same(await names(), before.map((id: string) => id.replace('/web2.', '/web3.')).sort(), 'and all the others');
  t.equal(await checked(host), ALL_AGREE);
});

test('how soon after its start a container has its name', async (t) => {
  const took = await soonNamed(host, 'blue', host, 'blue-1');
  t.comment(`seen: the name is there after its start: ${spread(took)}`);
  t.ok(took.at(-1)! < 1000);
});
