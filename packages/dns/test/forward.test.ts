import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Test, test } from 'tap';
import { type Names, type NamesOptions, serveNames } from '../src/index.ts';
import { dig, values } from './dig.ts';
import { inOwnNamespace } from './own-namespace.ts';
import { absent, addressed, saying, scripted, silent } from './upstream.ts';

const [ME, FIRST, SECOND] = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
const ask = (...args: string[]) => dig(`@${ME}`, '+noedns', ...args);

interface Rig {
  readonly names: Names;
  readonly warnings: string[];
  /** Writes the resolv.conf. */
  use(...upstreams: string[]): void;
}

async function forwarding(t: Test, upstreams: string[], options: Partial<NamesOptions> = {}): Promise<Rig> {
  const dir = mkdtempSync(join(tmpdir(), 'weave-dns-'));
  const resolvConf = join(dir, 'resolv.conf');
  const use = (...list: string[]) => writeFileSync(resolvConf, list.map((ip) => `nameserver ${ip}\n`).join(''));
  use(...upstreams);
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  const names = await serveNames({ listen: [{ address: ME }], resolvConf, warn, ...options });
  t.teardown(async () => {
    await names.close();
    rmSync(dir, { recursive: true });
  });
  return { names, warnings, use };
}

/** An upstream that knows `example.com`: a server of our own. */
async function example(t: Test, address: string): Promise<Names> {
  const names = await serveNames({ listen: [{ address }], domain: 'example.com', resolvConf: '/dev/null' });
  t.teardown(() => names.close());
  const many = Array.from({ length: 50 }, (_, i) => ({ id: `${i}`, name: 'many', addresses: [`192.0.2.${i}`] }));
  names.update({ names: [{ id: 'www', name: 'www', addresses: ['192.0.2.80', '2001:db8::80'] }, ...many] });
  return names;
}

await inOwnNamespace(fileURLToPath(import.meta.url), async () => {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);

  await test('what is not ours is asked of the upstream, over the same transport', async (t) => {
    const upstream = await example(t, FIRST);
    await forwarding(t, [FIRST]);
    const answer = await dig(`@${ME}`, 'wWw.Example.com', 'AAAA');
    t.strictSame([answer.status, values(answer)], ['NOERROR', ['2001:db8::80']]);
    t.match(answer.question, 'wWw.Example.com.');
    t.notOk(answer.flags.includes('aa'));
    t.ok(answer.flags.includes('ra'));
    t.equal(upstream.stats().tcpConnections, 0);
    t.strictSame(values(await dig(`@${ME}`, '+tcp', 'www.example.com')), ['192.0.2.80']);
    t.equal((await dig(`@${ME}`, 'nix.example.com')).status, 'NXDOMAIN');
  });

  await test('a truncated answer is told as such, and all of it over TCP', async (t) => {
    await example(t, FIRST);
    await forwarding(t, [FIRST]);
    const cut = await ask('+ignore', 'many.example.com');
    t.ok(cut.flags.includes('tc'));
    for (const size of ['+noedns', '+bufsize=700'])
      t.equal((await dig(`@${ME}`, size, 'many.example.com')).answers.length, 50, size);
    // It is known by now, whole; and does not fit.
    t.ok((await ask('+ignore', 'many.example.com')).flags.includes('tc'));
  });

  for (const [what, rcode] of [
    ['is not there', undefined],
    ['cannot', 2],
    ['refuses', 5],
  ] as const)
    await test(`the next upstream is asked when one ${what}`, async (t) => {
      await example(t, SECOND);
      if (rcode) await scripted(t, FIRST, (question, send) => send(saying(question, rcode)));
      await forwarding(t, [FIRST, SECOND]);
      t.strictSame(values(await ask('www.example.com')), ['192.0.2.80']);
    });

  await test('a silent upstream costs one question its time, not those after it', async (t) => {
    await example(t, SECOND);
    const { asked } = await scripted(t, FIRST, silent);
    const { warnings } = await forwarding(t, [FIRST, SECOND], { tryFor: 500 });
    t.strictSame(values(await ask('www.example.com')), ['192.0.2.80']);
    t.equal((await ask('nix.example.com')).status, 'NXDOMAIN');
    t.equal(asked.length, 1);
    t.equal(warnings.length, 1);
    t.match(warnings[0], FIRST);
  });

  await test('SERVFAIL in bounded time when no upstream answers, or there is none', async (t) => {
    const { asked } = await scripted(t, FIRST, silent);
    const { use } = await forwarding(t, [FIRST, SECOND], { tryFor: 300, giveUpAfter: 1000 });
    const begun = performance.now();
    const [udp, tcp] = await Promise.all([ask('www.example.com'), ask('+tcp', 'www.example.com')]);
    t.strictSame([udp.status, tcp.status], ['SERVFAIL', 'SERVFAIL']);
    t.ok(performance.now() - begun < 4000);
    t.ok(asked.length >= 2, 'a packet may be lost');
    use();
    await sleep(1100);
    t.equal((await ask('www.example.com')).status, 'SERVFAIL');
  });

  await test('an answer that says it cannot is handed on when nobody knows better', async (t) => {
    await scripted(t, FIRST, (question, send) => send(saying(question, 5)));
    await forwarding(t, [FIRST]);
    t.equal((await ask('www.example.com')).status, 'REFUSED');
  });

  await test('resolv.conf is read again when it changes; our own address in it is passed over', async (t) => {
    await example(t, FIRST);
    const { names, use } = await forwarding(t, [ME, '::1', '# x', 'nonsense'], { own: ['::1'] });
    t.equal((await ask('www.example.com')).status, 'SERVFAIL');
    t.equal(names.stats().forwarded, 1, 'it did not ask itself');
    use(ME, FIRST);
    await sleep(1100);
    t.strictSame(values(await ask('www.example.com')), ['192.0.2.80']);
  });

  await test('a loop through an upstream ends', async (t) => {
    const { names } = await forwarding(t, [FIRST], { tryFor: 300, giveUpAfter: 1000 });
    await forwarding(t, [ME], { listen: [{ address: FIRST }], tryFor: 300, giveUpAfter: 1000 });
    t.equal((await ask('www.example.com')).status, 'SERVFAIL');
    t.ok(names.stats().forwarded < 10, `${names.stats().forwarded}`);
  });

  await test('answers are kept as long as they say, and grow older', async (t) => {
    const { asked } = await scripted(t, FIRST, (question, send) => send(addressed(question, '192.0.2.9', 3)));
    await forwarding(t, [FIRST]);
    const first = await ask('A.example.com');
    t.strictSame(first.answers, ['A.example.com. 3 IN A 192.0.2.9']);
    await sleep(1200);
    t.strictSame((await ask('a.EXAMPLE.com')).answers, ['a.EXAMPLE.com. 2 IN A 192.0.2.9']);
    t.equal(asked.length, 1);
    await sleep(2000);
    await ask('a.example.com');
    t.equal(asked.length, 2);
  });

  await test('that there is none is kept as long as the SOA says', async (t) => {
    const { asked } = await scripted(t, FIRST, (question, send) => send(absent(question, 1)));
    await forwarding(t, [FIRST]);
    t.equal((await ask('nix.example.com')).status, 'NXDOMAIN');
    t.equal((await ask('nix.example.com')).status, 'NXDOMAIN');
    t.equal(asked.length, 1);
    await sleep(1100);
    await ask('nix.example.com');
    t.equal(asked.length, 2);
  });

  await test('equal questions under way are asked once', async (t) => {
    const { asked } = await scripted(t, FIRST, (question, send) =>
      setTimeout(() => send(addressed(question, '192.0.2.9', 0)), 1500),
    );
    await forwarding(t, [FIRST]);
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask('slow.example.com')));
    for (const answer of answers) t.strictSame(values(answer), ['192.0.2.9']);
    t.equal(asked.length, 1);
  });

  await test('only the answer to the question, from whom it was asked, is believed', async (t) => {
    const stranger = createSocket('udp4').bind(53, SECOND);
    t.teardown(() => stranger.close());
    const { asked } = await scripted(t, FIRST, (question, send, from) => {
      const lie = addressed(question, '6.6.6.6', 60);
      stranger.send(lie, from.port, from.address);
      const otherId = Buffer.from(lie);
      otherId[0]! ^= 1;
      send(otherId);
      const otherName = Buffer.from(lie);
      otherName[13]! ^= 1;
      send(otherName);
      send(question);
      setTimeout(() => send(addressed(question, '192.0.2.9', 60)), 100);
    });
    await forwarding(t, [FIRST]);
    for (const name of ['a', 'b', 'c']) t.strictSame(values(await ask(`${name}.example.com`)), ['192.0.2.9']);
    t.equal(new Set(asked).size, 3, 'ids are chosen at random');
  });
});
