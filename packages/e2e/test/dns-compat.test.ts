import tap, { test } from 'tap';
import { createLab, dig, resolves, status } from '../src/index.ts';

// What Weave 2.8's smoke tests 2xx ask of its DNS, each by its number; the others of them are in dns, dns-hosts and compose.
const lab = await createLab({ hosts: 1 });
const host = lab.hosts[0]!;
tap.teardown(() => lab.dispose());

const start = async (name: string, ...options: string[]) => {
  await host.docker('run', '-d', '--net', 'none', '--name', name, ...options, 'busybox', 'sleep', '3600');
  return name;
};
const inside = async (container: string, command: string) =>
  (await host.exec(['docker', 'exec', container, 'sh', '-c', command], { allowFail: true })).stdout.trim();
const lookup = (name: string) => host.weave('dns-lookup', name);

test('205: no names', async (t) => {
  await host.weave('launch', '--local', '--no-dns');
  t.equal((await host.exec(['weave', 'dns-args'])).stdout, '');
  await start('plain', '-h', 'plain.weave.local');
  await host.weave('attach', 'plain');
  t.equal(await inside('plain', 'ip route | grep 169.254'), '');
  await host.weave('stop');
});

test('220, 225: a domain of one’s own, with and without its dot, and what is below it', async (t) => {
  for (const domain of ['foo.bar.', 'foo.bar']) {
    await host.weave('launch', '--local', '--dns-domain', domain);
    t.equal((await host.exec(['weave', 'dns-args'])).stdout, '--dns=169.254.53.53 --dns-search=foo.bar.');
    const name = domain.endsWith('.') ? 'with' : 'without';
    await start(name, '-h', `${name}.sub1.foo.bar`, '--dns=169.254.53.53', '--dns-search=sub1.foo.bar');
    const address = (await host.weave('attach', name)).split(' ')[0]!;
    t.same((await resolves(host, name, `${name}.sub1.foo.bar`, [address])).got, [address]);
    t.match(await inside(name, `ping -4 -c1 -W2 ${name}`), `(${address})`, 'by the search list');
    await host.weave('stop');
  }
  await host.weave('launch', '--local');
});

test('200, 230, 245, 250, 265: names there and back, in any case, and there are none', async (t) => {
  await start('one', '-h', 'SeEtWo.weave.local');
  await start('two', '-h', 'seetwo.weave.local');
  await host.weave('attach', '10.2.1.1/24', 'one');
  await host.weave('attach', '10.2.1.2/24', 'two');
  t.same((await resolves(host, 'one', 'SEETWO.weave.local', ['10.2.1.1', '10.2.1.2'])).got, ['10.2.1.1', '10.2.1.2']);
  t.same(await dig(host, 'one', 'seetwo.'), ['10.2.1.1', '10.2.1.2'], 'one label');
  t.same(await dig(host, 'one', '-x', '10.2.1.2'), ['seetwo.weave.local.']);
  t.equal(await status(host, 'one', 'seetwo.weave.local', 'MX'), 'NOERROR');
  t.equal(await status(host, 'one', 'nobody.weave.local'), 'NXDOMAIN');
  await host.docker('rm', '-f', 'two');
  await start('three', '-h', 'three.weave.local');
  await host.weave('attach', '10.2.1.2/24', 'three');
  t.same(await dig(host, 'one', '-x', '10.2.1.2'), ['three.weave.local.'], 'who has the address now');
  await host.weave('expose', '10.2.1.100/24', '-h', 'exp1.weave.local');
  await host.weave('expose', '10.2.1.100/24', '-h', 'exp2.weave.local');
  for (const name of ['exp1', 'exp2']) t.same(await dig(host, 'one', `${name}.weave.local`), ['10.2.1.100'], name);
  await host.weave('hide', '10.2.1.100/24');
  t.equal(await lookup('exp1'), '');
});

test('240, 260, 280: by hand, removed, and without', async (t) => {
  for (const words of [['10.2.1.1', 'one'], ['one'], ['10.2.1.1']]) {
    await host.weave('dns-add', ...words, '-h', 'name1.weave.local');
    t.same(await dig(host, 'one', 'name1.weave.local'), ['10.2.1.1'], words.join(' '));
    await host.weave('dns-remove', ...words, '-h', 'name1.weave.local');
    t.same(await dig(host, 'one', 'name1.weave.local'), []);
  }
  await host.weave('dns-add', 'one', '-h', 'name2');
  await host.docker('rm', '-f', 'one');
  for (const name of ['name2', 'seetwo', 'one'])
    t.same((await resolves(host, 'three', `${name}.weave.local`, [], 1000)).got, [], `${name} is gone with it`);
  await start('quiet', '-h', 'quiet.weave.local');
  await host.weave('attach', '10.2.1.9/24', '--without-dns', 'quiet');
  t.equal(await lookup('quiet'), '');
});

test('255, 295: after a restart, and fifty addresses', async (t) => {
  await start('many');
  const addresses = Array.from({ length: 50 }, (_, n) => `10.2.1.${n + 150}`);
  await host.weave('attach', ...addresses.map((address) => `${address}/24`), 'many');
  await host.weave('stop');
  await host.weave('launch', '--local');
  t.equal((await lookup('three')).trim(), '10.2.1.2');
  for (const how of ['+notcp', '+tcp', '+bufsize=700'])
    t.same(await dig(host, 'three', how, 'many.weave.local'), [...addresses].sort(), how);
});
