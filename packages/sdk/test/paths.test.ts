import t, { type Test } from 'tap';
import { echoOf, LEAST, parse, probeOf } from '../src/underlay/message.ts';
import type { UnderlayPath, UnderlayPaths } from '../src/underlay/paths.ts';
import { VirtualUnderlay } from './virtual-underlay.ts';

const [A, B] = ['192.0.2.1', '192.0.2.2'];

/** Two hosts that list each other. */
function pair(net = new VirtualUnderlay(), a = A, b = B) {
  const hosts = { a: net.host(a), b: net.host(b) };
  hosts.a.setPeers([{ id: 'b', address: b }]);
  hosts.b.setPeers([{ id: 'a', address: a }]);
  const to = (host: UnderlayPaths): UnderlayPath => host.paths()[0]!;
  return { net, ...hosts, ab: () => to(hosts.a), ba: () => to(hosts.b) };
}

const isFound = (path: UnderlayPath, mtu: number) => path.state === 'reachable' && path.mtu === mtu;

t.test('the largest packet that gets through', async (t) => {
  for (const mtu of [1280, 1281, 1372, 1400, 1499, 1500, 2000, 8499, 8950, 9000]) {
    const { net, ab } = pair();
    net.set(A, B, { mtu });
    t.ok(net.until(() => isFound(ab(), mtu), 5000) < 3500, `${mtu}, within seconds`, { path: ab(), now: net.now });
  }
  for (const [name, a, b, link] of [
    ['our own link is the least', A, B, 1500],
    ['over IPv6', '2001:db8::1', '2001:db8::2', 1400],
  ] as const) {
    const { net, ab } = pair(new VirtualUnderlay(), a, b);
    net.setLink(a, link);
    t.ok(net.until(() => isFound(ab(), link), 5000) < 3500, name, { path: ab() });
  }
  const { net, ab } = pair();
  net.set(A, B, { mtu: 1200 });
  net.pass(60_000);
  t.match([ab().state, ab().mtu], ['reachable', undefined], 'less than the least is said by saying nothing');
  net.set(A, B, { mtu: 1500 });
  t.ok(net.until(() => isFound(ab(), 1500), 40_000) < 30_000, 'until it is more');
});

t.test('each direction has its own', async (t) => {
  const { net, ab, ba } = pair();
  net.way(A, B).mtu = 1400;
  net.way(B, A).mtu = 1500;
  net.pass(5000);
  t.match([ab().mtu, ba().mtu], [1400, 1500]);
});

t.test('what changes while it runs', async (t) => {
  for (const [from, to] of [
    [9000, 1500],
    [1500, 1400],
    [1500, 1372],
    [9000, 1280],
  ] as const) {
    const { net, ab } = pair();
    net.set(A, B, { mtu: from });
    net.pass(10_000);
    t.equal(ab().mtu, from);
    net.set(A, B, { mtu: to });
    const took = net.until(() => ab().mtu === to, 20_000);
    t.ok(took < 4000, `${from} to ${to} is noticed within seconds`, { took });
    net.set(A, B, { mtu: from });
    const back = net.until(() => ab().mtu === from, 60_000);
    t.ok(back < 31_000, `and back within half a minute`, { back });
  }
  const { net, ab } = pair();
  net.pass(10_000);
  net.setLink(A, 1500);
  t.ok(net.until(() => ab().mtu === 1500, 20_000) < 3500, 'our own link');
});

t.test('it is told', async (t) => {
  const { net, a } = pair();
  const told: string[] = [];
  const end = a.onChange(({ state, mtu, peer }) => told.push(`${peer} ${state} ${mtu}`));
  net.pass(10_000);
  net.set(A, B, { mtu: 1500 });
  net.pass(10_000);
  net.set(A, B, { loss: 1 });
  net.pass(10_000);
  end();
  net.set(A, B, { loss: 0 });
  net.pass(40_000);
  t.same(told, ['b reachable undefined', 'b reachable 9000', 'b reachable 1500', 'b unreachable 1500']);
});

t.test('loss is no smaller MTU', async (t) => {
  for (const loss of [0.01, 0.05, 0.1, 0.2]) {
    const { net, a, ab } = pair(new VirtualUnderlay(7));
    net.set(A, B, { mtu: 1500, loss });
    net.until(() => isFound(ab(), 1500), 30_000);
    let wrong = 0;
    a.onChange(({ mtu }) => {
      if (mtu !== 1500) wrong++;
    });
    net.pass(10 * 60_000);
    t.equal(ab().state, 'reachable', `with ${loss} lost each way it is reachable`);
    t.ok(wrong <= (loss < 0.2 ? 0 : 2), `with ${loss} lost each way`, { wrong, path: ab() });
    const both = 1 - (1 - loss) ** 2;
    t.ok(Math.abs(ab().lossRatio - both) < 0.15, `and the ratio tells`, { ratio: ab().lossRatio, both });
  }
});

t.test('a way that is cut', async (t: Test) => {
  for (const [name, cut] of [
    ['both ways', [A, B]],
    ['one way', [A]],
    ['the other', [B]],
  ] as const) {
    const { net, ab, ba } = pair();
    net.set(A, B, { mtu: 1500 });
    net.pass(10_000);
    for (const from of cut) net.way(from, from === A ? B : A).loss = 1;
    const isCut = () => ab().state === 'unreachable' && ba().state === 'unreachable';
    const took = net.until(isCut, 20_000);
    t.ok(took < 5000, `${name}: both notice`, { took });
    t.match([ab().mtu, ab().lossRatio], [1500, 1], 'what was found out stays');
    const { sent } = net;
    net.pass(60 * 60_000);
    t.ok(net.sent - sent < 4 * 130, 'they try rarely', { sent: net.sent - sent });
    net.set(A, B, { loss: 0 });
    const back = net.until(() => isFound(ab(), 1500) && isFound(ba(), 1500), 60_000);
    t.ok(back < 40_000, `${name}: both notice that it is there again`, { back });
  }
});

t.test('nobody there', async (t) => {
  const net = new VirtualUnderlay();
  const a = net.host(A);
  a.setPeers([{ id: 'b', address: B }]);
  t.match(a.paths(), [{ peer: 'b', address: B, state: 'probing' }]);
  net.pass(10_000);
  t.equal(a.paths()[0]!.state, 'unreachable');
  const b = net.host(B);
  b.setPeers([{ id: 'a', address: A }]);
  t.ok(net.until(() => isFound(a.paths()[0]!, 9000), 60_000) < 5000, 'it comes, and is found by its own probes');
});

t.test('round trips', async (t) => {
  const { net, ab } = pair();
  net.set(A, B, { delayMs: 20 });
  net.pass(20_000);
  t.match([Math.round(ab().rttMs!), Math.round(ab().minRttMs!)], [40, 40]);
  net.set(A, B, { delayMs: 100 });
  net.pass(120_000);
  t.match([Math.round(ab().rttMs!), Math.round(ab().minRttMs!)], [200, 40]);
  t.equal(ab().state, 'reachable');
});

t.test('strangers', async (t) => {
  const { net, a, b, ab } = pair();
  net.set(A, B, { mtu: 1500 });
  // When nobody else says anything.
  net.pass(10_111);
  const before = net.sent;
  net.send('203.0.113.9', A, probeOf(1400).message);
  net.pass(1);
  t.equal(net.sent, before + 1, 'are not answered');
  // In the name of a peer, with nonces that they did not see.
  for (let n = 0; n < 50; n++)
    net.send(B, A, Buffer.concat([echoOf(parse(probeOf(LEAST).message)!.nonce), Buffer.alloc(1000)]));
  net.pass(10_000);
  t.equal(ab().mtu, 1500, 'do not say how large a packet may be');
  t.equal(parse(Buffer.alloc(100)), undefined, 'what is none of ours');
  t.equal(parse(probeOf(LEAST).message.subarray(1)), undefined, 'cut');
  t.ok(echoOf(parse(probeOf(LEAST).message)!.nonce).length <= LEAST, 'an echo is no larger than what it answers');
  b.setPeers([]);
  net.pass(1000);
  a.setPeers([]);
  net.pass(1000);
  const { sent } = net;
  net.pass(60_000);
  net.send(B, A, probeOf(1400).message);
  net.pass(1000);
  t.same([a.paths(), net.sent - sent], [[], 1], 'who is listed no more is neither probed nor answered');
});

t.test('what it costs', async (t) => {
  for (const [peers, most] of [
    [30, 40],
    [1000, 130],
  ] as const) {
    const net = new VirtualUnderlay();
    const a = net.host(A, 1500);
    const list = Array.from({ length: peers }, (_, n) => ({ id: `p${n}`, address: `198.51.${n >> 8}.${n & 255}` }));
    for (const { address } of list) net.echoer(address);
    a.setPeers(list);
    net.pass(60_000);
    const found = a.paths().filter((path) => isFound(path, 1500)).length;
    t.equal(found, peers, `all of ${peers} are found within a minute`);
    const { sent } = net;
    net.pass(60_000);
    const perSecond = Math.round((net.sent - sent) / 60);
    t.ok(perSecond < most, `${peers} peers: ${perSecond} probes and echoes a second`);
  }
});
