import { execFileSync } from 'node:child_process';
import { connect as connectPlain, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import { t } from 'tap';
import { parseTarget } from '../../src/managed/control.ts';
import { inOwnNamespace } from '../own-namespace.ts';
import { createHosts, getKey, putKey, type TestHost, together, until } from './hosts.ts';

const PORT = 6783;

/** What is answered to these bytes, until the other end closes. */
const told = (socket: Socket, ...said: (string | Buffer)[]) =>
  new Promise<string>((resolve) => {
    let text = '';
    socket.on('data', (part) => {
      text += part;
    });
    socket.on('error', () => undefined).on('close', () => resolve(text));
    for (const each of said) socket.write(each);
  });

const plain = ({ address }: TestHost) => connectPlain(PORT, address);
const overTls = ({ address }: TestHost) => connect({ host: address, port: PORT, rejectUnauthorized: false });

const hello = (more: object = {}) =>
  `${JSON.stringify({ weave: 1, peer: 'x', name: 'x', able: true, nonce: '0'.repeat(64), password: false, ...more })}\n`;
const side = { peer: 'x', standing: 'lone', able: true, first: 'x' };

const GARBAGE: [string, (string | Buffer)[], RegExp][] = [
  ['no JSON', ['GET / HTTP/1.1\r\n\r\n'], /^$/],
  ['no hello', ['{}\n'], /WEAVE_INVALID_REQUEST.*no hello/],
  ['a hello of another version', [hello({ weave: 7 })], /WEAVE_OTHER_VERSION/],
  ['a peer that is none', [hello({ peer: '../../etc' })], /WEAVE_INVALID_REQUEST/],
  ['a nonce that is too short', [hello({ nonce: '00' })], /WEAVE_INVALID_REQUEST/],
  ['a line without an end', [Buffer.alloc(200_000, 0x20)], /^$/],
  ['more than was asked for', Array(50).fill(hello()), /^/],
  ['a meeting with something else in it', [hello(), `${JSON.stringify({ side, more: 1 })}\n`], /no meeting/],
  ['a standing that is none', [hello(), `${JSON.stringify({ side: { ...side, standing: 'king' } })}\n`], /no meeting/],
  ['an array for a message', [hello(), '[[[[]]]]\n'], /no meeting/],
  ['a proof that is none', [hello(), `${JSON.stringify({ side, proof: 'é'.repeat(64) })}\n`], /no meeting/],
];

await inOwnNamespace(import.meta.filename, async () => {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);

  t.test('what is no message of ours is refused, without a word of how it is made', async (t) => {
    await using hosts = createHosts();
    const [a, b] = [await hosts.add('a'), await hosts.add('b')];
    for (const [what, said, answer] of GARBAGE) {
      const text = await told(overTls(a), ...said);
      t.match(text, answer, what);
      t.notMatch(text, /\.ts|\bat |node:/, what);
    }
    t.ok((await told(plain(a), Buffer.alloc(100, 0xff))).length < 10, 'a TLS alert, no more');
    t.equal(a.managed.store, undefined, 'nothing came of it');
    await b.managed.connect([a.address]);
    await together(a, b);
  });

  t.test('who says nothing is sent away', async (t) => {
    await using hosts = createHosts();
    const a = await hosts.add('a');
    const before = performance.now();
    await told(plain(a));
    t.ok(performance.now() - before < 10_000, 'soon without TLS');
    await told(overTls(a));
    t.ok(performance.now() - before < 40_000, 'later with it');
  });

  t.test('a flood from one address keeps nobody else out, and leaves nothing', async (t) => {
    await using hosts = createHosts();
    const [a, b] = [await hosts.add('a'), await hosts.add('b')];
    const flood = Array.from({ length: 500 }, () => plain(a).on('error', () => undefined));
    await delay(500);
    t.ok(flood.filter(({ destroyed }) => !destroyed).length <= 32, 'so many at most');
    execFileSync('ip', ['address', 'add', '10.9.9.9/32', 'dev', 'lo']);
    const from = connectPlain({ host: a.address, port: PORT, localAddress: '10.9.9.9' });
    const other = connect({ socket: from, rejectUnauthorized: false });
    t.match(await told(other, hello({ weave: 2 })), /WEAVE_OTHER_VERSION/);
    for (const socket of flood) socket.destroy();
    await b.managed.connect([a.address]);
    await together(a, b);
  });

  t.test('guessing the password soon takes long', async (t) => {
    await using hosts = createHosts();
    const a = await hosts.add('a', { password: 'correct horse' });
    const guess = async () =>
      told(overTls(a), hello({ password: true }), `${JSON.stringify({ side, proof: '0'.repeat(64) })}\n`);
    const answers: string[] = [];
    for (let count = 0; count < 12; count++) answers.push(await guess());
    t.match(answers[0], /wrong password/);
    t.match(answers.at(-1), /too many wrong passwords/);
    t.notMatch(answers.join(), /"proof"/, 'it proves nothing to who has not proven anything');
  });

  t.test('news of a cluster’s store are its hosts’ only', async (t) => {
    await using hosts = createHosts({ password: 'correct horse' });
    const [a, b] = [await hosts.add('a'), await hosts.add('b')];
    await b.managed.connect([a.address]);
    await together(a, b);
    await putKey(a);
    await a.stop();
    await a.start({ password: undefined });
    await until('its store answers', () => a.managed.status().voters.join() === 'a');
    const { clusterId, endpoints } = a.managed.store!;
    const news = { epoch: 2 ** 40, endpoints: ['https://127.77.9.9:6785'], hosts: { b: [`${b.address}:6783`] } };
    const meeting = `${JSON.stringify({ side: { ...side, standing: 'settled', cluster: clusterId }, news })}\n`;
    t.match(await told(overTls(a), hello(), meeting), /WEAVE_JOIN_DENIED/);
    t.match(await told(overTls(a), hello({ cluster: clusterId }), meeting), /WEAVE_JOIN_DENIED/);
    await delay(2000);
    t.same(a.managed.store!.endpoints, endpoints);
    t.equal(await getKey(a), 'as before');
  });

  t.test('a port that somebody else has', async (t) => {
    await using hosts = createHosts();
    await hosts.add('a');
    await t.rejects(hosts.add('b', { bind: ['127.77.0.1'] }), { code: 'WEAVE_PORT_IN_USE', message: /6783/ });
  });
});

t.test('hosts as they are written', async (t) => {
  t.same(parseTarget('10.0.0.1', PORT), { host: '10.0.0.1', port: PORT });
  t.same(parseTarget('h1.example:7000', PORT), { host: 'h1.example', port: 7000 });
  t.same(parseTarget('fd00::1', PORT), { host: 'fd00::1', port: PORT });
  t.same(parseTarget('[fd00::1]:7000', PORT), { host: 'fd00::1', port: 7000 });
  t.same(parseTarget('[fe80::1%eth0]', PORT), { host: 'fe80::1%eth0', port: PORT });
});
