import tap, { type Test, test } from 'tap';
import { ALL_AGREE, checked, createLab, type Host, killDaemon } from '../src/index.ts';

/** Tests of Weave 2.8's own that are about addresses, said anew: packages/cli/PARITY.md has them all. */
const lab = await createLab({ hosts: 3 });
tap.teardown(() => lab.dispose());
const [a, b, c] = lab.hosts as [Host, Host, Host];

const bare = (host: Host, ...names: string[]) =>
  Promise.all(
    names.map((name) => host.docker('run', '-d', '--name', name, '--net', 'none', 'busybox', 'sleep', '3600')),
  );

/** The IPv4 one of those that it has. */
const attach = async (host: Host, ...words: string[]) => (await host.weave('attach', ...words)).split(' ')[0]!;

async function reaches(t: Test, host: Host, from: string, to: string) {
  const command = `until docker exec ${from} ping -c1 -W1 ${to}; do :; done`;
  const { code } = await host.exec(command, { allowFail: true, timeoutMs: 20_000 });
  t.equal(code, 0, `${from} on ${host.name} reaches ${to}`);
}

test('100: whatever form an address was asked for in, it is reached from the other host', async (t) => {
  await a.weave('launch', '--local');
  await b.weave('launch', '--local', a.ip);
  await b.weave('prime');
  const forms: [words: string[], other: string[], wanted: RegExp][] = [
    [['10.2.1.4/24'], ['10.2.1.7/24'], /^10\.2\.1\.4$/],
    [['ip:10.2.2.4/24'], ['ip:10.2.2.7/24'], /^10\.2\.2\.4$/],
    [[], [], /^10\.(3[2-9]|4[0-7])\./],
    [['net:default'], ['net:default'], /^10\.(3[2-9]|4[0-7])\./],
    [['net:10.32.4.0/24'], ['net:10.32.4.0/24'], /^10\.32\.4\./],
  ];
  for (const [i, [words, others, wanted]] of forms.entries()) {
    await bare(a, `a${i}`);
    await bare(b, `b${i}`);
    const address = await attach(a, ...words, `a${i}`);
    t.match(address, wanted, words.join(' ') || 'no address');
    t.not(await attach(b, ...others, `b${i}`), address);
    await reaches(t, b, `b${i}`, address);
  }
  await a.docker('restart', '-t', '0', 'a2');
  const again = await attach(a, 'a2');
  await reaches(t, b, 'b2', again);
  t.match(await a.weave('ps', 'a2'), again, 'a container that restarts keeps its address');
  for (const bad of ['net:10.2.3.2/30', 'net:10.2.3.1/31'])
    t.not((await a.exec(['weave', 'attach', bad, 'a0'], { allowFail: true })).code, 0, bad);
});

test('300: an address moves to another container, and is reached at once', async (t) => {
  await bare(a, 'm1', 'm2', 'm3');
  for (const name of ['m1', 'm2', 'm3', 'm1']) {
    t.equal(await attach(a, '10.2.1.9/24', name), '10.2.1.9');
    for (const [host, from] of [
      [a, 'a0'],
      [b, 'b0'],
    ] as const)
      await reaches(t, host, from, '10.2.1.9');
    await a.weave('detach', '10.2.1.9/24', name);
  }
});

test('370: addresses outlive the daemons; those of containers that went meanwhile are handed out again', async (t) => {
  await bare(b, 'keeps', 'goes');
  const [kept, gone] = [await attach(b, 'keeps'), await attach(b, 'goes')];
  for (const host of [a, b]) await host.weave('stop');
  await b.docker('rm', '-f', 'goes');
  for (const host of [a, b]) await host.weave('launch', '--local');
  await b.weave('prime');
  t.match(await b.weave('ps', 'keeps'), kept);
  t.equal(await attach(b, 'keeps'), kept);
  await b.exec(`until ! weave ps | grep -q ${gone}/; do sleep 0.1; done`, { timeoutMs: 20_000 });
  await bare(b, 'next');
  t.equal(await attach(b, 'next'), gone, 'the lowest that is free');
  await reaches(t, b, 'next', (await a.weave('ps', 'a2')).split(' ')[2]!.split('/')[0]!);
});

test('330: hosts are reset and launched again, one after the other', async (t) => {
  for (const [host, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const names = (await host.docker('ps', '-aq')).split('\n').filter(Boolean);
    if (names.length > 0) await host.docker('rm', '-f', ...names);
    await host.weave('reset');
    await host.weave('launch', '--local', other.ip);
    await host.weave('prime');
    await bare(host, 'fresh');
    const address = await attach(host, 'fresh');
    t.match(address, /^10\./, `${host.name} has addresses to hand out`);
    await bare(other, `to-${host.name}`);
    await attach(other, `to-${host.name}`);
    await reaches(t, other, `to-${host.name}`, address);
  }
  for (const host of [a, b]) t.equal(await checked(host), ALL_AGREE);
});

test('335: what a host held that died is the others’ after rmpeer', async (t) => {
  await c.weave('launch', '--local', a.ip, b.ip);
  await c.weave('prime');
  await bare(c, 'held');
  await attach(c, 'held');
  // Until it has been heard of it is not missed either.
  await a.exec("until weave status peers | grep -q '(h3)$'; do sleep 0.2; done", { timeoutMs: 20_000 });
  await killDaemon(c);
  await c.exec('pkill -KILL -x etcd || true', { allowFail: true });
  await a.exec("until weave status peers | grep -q '(h3) - unreachable!$'; do sleep 0.2; done", { timeoutMs: 60_000 });
  t.match(await a.weave('status', 'ipam'), /\(h3\) .* - unreachable!$/m);
  t.match(await a.weave('status', 'peers'), /\(h3\) - unreachable!$/m);
  const half = await a.exec(['weave', 'rmpeer', 'h3', 'nobody'], { allowFail: true });
  t.match(
    half,
    { code: 3, stdout: /^[1-9]\d* IPs taken over from h3\n$/, stderr: /nobody/ },
    'of each, what became of it',
  );
  t.notMatch(await a.weave('status', 'ipam'), /\(h3\)/);
  for (const host of [a, b]) {
    await bare(host, 'after');
    t.match(await attach(host, 'after'), /^10\./);
  }
  const unknown = await a.exec(['weave', 'rmpeer', 'h3'], { allowFail: true });
  t.match(unknown, { code: 3, stdout: /^$/, stderr: /there is no host h3/ });
});

test('510: a host that waits for others detaches at once', async (t) => {
  for (const host of lab.hosts) await host.weave('stop').catch(() => '');
  await c.weave('reset');
  await c.weave('launch', '--local', '192.0.2.250');
  const forms = [
    [],
    ['10.2.1.1/24'],
    ['ip:10.2.1.1/24'],
    ['net:default'],
    ['net:10.32.4.0/24'],
    ['10.2.1.1/24', 'net:default'],
  ];
  for (const words of forms) {
    const { code, stdout } = await c.exec(['weave', 'detach', ...words, 'held'], { timeoutMs: 10_000 });
    // One that was given is echoed, whether it was there or not.
    const echoed = words[0]?.endsWith('10.2.1.1/24') ? '10.2.1.1' : '';
    t.strictSame([code, stdout.trim()], [0, echoed], words.join(' ') || 'no address');
  }
});
