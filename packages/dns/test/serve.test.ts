import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Test, test } from 'tap';
import { type Names, type NamesOptions, qualify, serveNames } from '../src/index.ts';
import { dig, values } from './dig.ts';
import { inOwnNamespace } from './own-namespace.ts';

const ip = (...args: string[]) => execFileSync('ip', args);
const HERE = ['127.0.0.1', '::1'];

async function serving(t: Test, options: Partial<NamesOptions> = {}): Promise<Names> {
  const names = await serveNames({
    listen: HERE.map((address) => ({ address })),
    resolvConf: '/dev/null',
    ...options,
  });
  t.teardown(() => names.close());
  return names;
}

const web = {
  id: 'e1/web',
  name: 'Web',
  addresses: ['10.32.0.1', 'fd00::1'],
  ports: [{ port: 80, protocol: 'tcp', service: 'http' } as const],
};

await inOwnNamespace(fileURLToPath(import.meta.url), async () => {
  ip('link', 'set', 'lo', 'up');

  await test('short and full names, both families, over both families and transports', async (t) => {
    const names = await serving(t);
    names.update({ names: [web] });
    for (const server of HERE)
      for (const transport of ['+notcp', '+tcp'])
        for (const name of ['web.weave.local', 'web.'])
          for (const [type, value] of [
            ['A', '10.32.0.1'],
            ['AAAA', 'fd00::1'],
          ] as const) {
            const answer = await dig(`@${server}`, transport, name, type);
            t.strictSame(
              [answer.status, values(answer)],
              ['NOERROR', [value]],
              `${server} ${transport} ${name} ${type}`,
            );
            t.ok(answer.flags.includes('aa'));
          }
  });

  await test("the question's case is echoed, and the TTL is what was asked for", async (t) => {
    const names = await serving(t, { ttl: 7, domain: 'Example.INTERNAL' });
    names.update({ names: [web] });
    t.equal(names.domain, 'example.internal.');
    const answer = await dig('@127.0.0.1', 'wEB.exAmple.inTernal');
    t.strictSame(answer.answers, ['wEB.exAmple.inTernal. 7 IN A 10.32.0.1']);
  });

  await test('addresses have names', async (t) => {
    const names = await serving(t);
    names.update({ names: [web, { id: 'alias', name: 'www', addresses: ['10.32.0.1'] }] });
    t.strictSame(values(await dig('@127.0.0.1', '-x', '10.32.0.1')), ['Web.weave.local.']);
    t.strictSame(values(await dig('@127.0.0.1', '-x', 'fd00::1')), ['Web.weave.local.']);
    names.update({ networks: [{ id: 'blue', subnets: ['10.32.0.0/12'] }] });
    const absent = await dig('@127.0.0.1', '-x', '10.32.0.2');
    t.equal(absent.status, 'NXDOMAIN');
    t.match(absent.authority[0], /^10\.in-addr\.arpa\. 1 IN SOA/);
  });

  await test("glibc's resolver", async (t) => {
    const names = await serving(t);
    names.update({ names: [web] });
    const dir = t.testdir({ 'resolv.conf': 'nameserver 127.0.0.1\nsearch weave.local\n', nsswitch: 'hosts: dns\n' });
    execFileSync('mount', ['--bind', `${dir}/resolv.conf`, '/etc/resolv.conf']);
    execFileSync('mount', ['--bind', `${dir}/nsswitch`, '/etc/nsswitch.conf']);
    t.teardown(() => execFileSync('umount', ['/etc/resolv.conf', '/etc/nsswitch.conf']));
    const run = promisify(execFile);
    for (const name of ['web', 'WEB.weave.local']) {
      const { stdout } = await run('getent', ['ahosts', name]);
      t.match(stdout, '10.32.0.1');
      t.match(stdout, 'fd00::1');
    }
    t.match((await run('getent', ['hosts', '10.32.0.1'])).stdout, 'Web.weave.local');
    await t.rejects(run('getent', ['ahosts', 'nix']), { code: 2 });
  });

  await test('what a name has not, and names that are not', async (t) => {
    const names = await serving(t);
    names.update({ names: [web, { id: 'deep', name: 'a.sub.weave.local', addresses: ['10.32.0.9'] }] });
    for (const name of ['web.weave.local', 'sub.weave.local', 'weave.local']) {
      const none = await dig('@127.0.0.1', name, 'MX');
      t.strictSame([none.status, none.answers], ['NOERROR', []], name);
      t.match(none.authority[0], /^weave\.local\. 1 IN SOA dns\.weave\.local\. hostmaster\.weave\.local\. \d+ .* 1$/);
    }
    const absent = await dig('@127.0.0.1', 'nix.weave.local');
    t.strictSame([absent.status, absent.authority.length], ['NXDOMAIN', 1]);
    // No SOA: it is in no zone of ours.
    const single = await dig('@127.0.0.1', 'nix.');
    t.strictSame([single.status, single.authority], ['NXDOMAIN', []]);
    t.equal((await dig('@127.0.0.1', 'web.weave.local', 'AXFR')).answers.length, 0);
    t.equal((await dig('@127.0.0.1', 'web.weave.local', 'TXT', 'CH')).status, 'REFUSED');
  });

  await test('the domain itself', async (t) => {
    await serving(t);
    t.match(values(await dig('@127.0.0.1', 'weave.local', 'SOA'))[0], /^dns\.weave\.local\./);
    t.strictSame(values(await dig('@127.0.0.1', 'weave.local', 'NS')), ['dns.weave.local.']);
  });

  await test('services', async (t) => {
    const names = await serving(t);
    names.update({ names: [web] });
    for (const name of ['_http._tcp.web.weave.local', '_80._TCP.web.', 'web.weave.local']) {
      const answer = await dig('@127.0.0.1', name, 'SRV');
      t.strictSame(values(answer), ['0 0 80 Web.weave.local.'], name);
      t.equal(answer.additional.length, 2);
    }
    t.equal((await dig('@127.0.0.1', '_http._udp.web.weave.local', 'SRV')).status, 'NXDOMAIN');
  });

  await test('fifty addresses: cut over UDP, whole over TCP, and shuffled', async (t) => {
    const names = await serving(t);
    const addresses = Array.from({ length: 50 }, (_, i) => `10.32.1.${i}`);
    names.update({ names: addresses.map((address) => ({ id: address, name: 'many', addresses: [address] })) });
    for (const size of ['+noedns', '+bufsize=700', '+bufsize=4096']) {
      const answer = await dig('@127.0.0.1', size, 'many.weave.local');
      t.strictSame(values(answer), addresses.toSorted(), size);
    }
    const cut = await dig('@127.0.0.1', '+bufsize=700', '+ignore', 'many.weave.local');
    t.ok(cut.flags.includes('tc'));
    t.ok(cut.answers.length > 30 && cut.answers.length < 50);
    const orders = await Promise.all([1, 2, 3].map(() => dig('@127.0.0.1', '+tcp', 'many.weave.local')));
    t.equal(new Set(orders.map(({ answers }) => answers.join())).size, 3);
  });

  await test('EDNS of another version, and a question that DNS has no room for', async (t) => {
    await serving(t);
    t.equal((await dig('@127.0.0.1', '+edns=1', '+noednsneg', 'a.weave.local')).status, 'BADVERS');
    t.equal((await dig('@127.0.0.1', '+opcode=UPDATE', 'a.weave.local')).status, 'NOTIMP');
  });

  await test('updates replace and remove, and one that is at fault changes nothing', async (t) => {
    const names = await serving(t);
    names.update({ names: [web] });
    names.update({ names: [{ ...web, addresses: ['10.32.0.7'] }] });
    t.strictSame(names.lookup('web'), ['10.32.0.7']);
    const fault = {
      names: [
        { id: 'x', name: 'x', addresses: ['10.32.0.8'] },
        { ...web, name: 'web.example.com' },
      ],
    };
    t.throws(() => names.update({ gone: { names: [web.id] }, ...fault }), { code: 'WEAVE_INVALID_NAME' });
    t.throws(() => names.update({ names: [{ ...web, addresses: ['10.1'] }] }), { code: 'WEAVE_INVALID_ADDRESS' });
    t.throws(() => names.update({ networks: [{ id: 'n', subnets: ['x'] }] }), { code: 'WEAVE_INVALID_SUBNET' });
    t.strictSame([names.lookup('web'), names.lookup('x')], [['10.32.0.7'], []]);
    names.update({ gone: { names: [web.id, 'never was'] } });
    t.equal((await dig('@127.0.0.1', 'web.weave.local')).status, 'NXDOMAIN');
    names.replace({ names: [{ ...web, name: 'new' }] });
    t.equal(names.stats().names, 1);
  });

  await test('an address that is taken is an error, and is free again after close', async (t) => {
    const first = await serveNames({ listen: [{ address: '127.0.0.1', port: 5300 }], resolvConf: '/dev/null' });
    const again = () => serveNames({ listen: [{ address: '127.0.0.1', port: 5300 }], resolvConf: '/dev/null' });
    await t.rejects(again(), { code: 'WEAVE_DNS_ADDRESS_IN_USE' });
    await first.close();
    await (await again()).close();
    await t.rejects(serveNames({ listen: [{ address: '127.0.0.1', netns: '/run/nix' }] }), {
      code: 'WEAVE_NETNS_NOT_FOUND',
    });
  });

  await test('options that are none', async (t) => {
    for (const options of [{ ttl: -1 }, { ttl: 1.5 }, { listen: [{ address: '127.0.0.1', port: 65536 }] }])
      await t.rejects(serveNames({ listen: [], ...options }), { code: 'WEAVE_INVALID_OPTION' });
    await t.rejects(serveNames({ listen: [{ address: 'localhost' }] }), { code: 'WEAVE_INVALID_ADDRESS' });
    await t.rejects(serveNames({ listen: [], domain: 'a..b' }), { code: 'WEAVE_INVALID_NAME' });
    const names = await serving(t);
    t.throws(() => names.update({ names: [{ id: 'x', name: 'x' } as never] }), { code: 'WEAVE_INVALID_REQUEST' });
  });

  await test('names as the server would have them', async (t) => {
    t.equal(qualify('Web', 'weave.local'), 'Web.weave.local.');
    t.equal(qualify('web.weave.local.', 'weave.local.'), 'web.weave.local.');
    for (const name of ['web.example.com', '', 'weave.local', 'a..weave.local', 'a'.repeat(64)])
      t.equal(qualify(name, 'weave.local'), undefined, name);
  });
});
