import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Observed } from '@weave/core';
import { type Test, t } from 'tap';
import { kernelDatapath } from '../src/datapath.ts';
import { underlayAddresses } from '../src/underlay/addresses.ts';
import { peerTraffic, type Traffic } from '../src/underlay/traffic.ts';
import { inOwnNamespace } from './own-namespace.ts';
import { printed, run } from './processes.ts';

const [ME, PEER, OTHER] = ['192.0.2.1', '192.0.2.2', '192.0.2.3'];
const [ME6, PEER6] = ['2001:db8::1', '2001:db8::2'];

async function sending(
  port: number,
  address: string,
): Promise<(bytes: number, to: string, at?: number) => Promise<void>> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.bind(port, address);
  await once(socket, 'listening');
  t.teardown(() => close(socket));
  return (bytes, to, at = 4789) =>
    new Promise((done, failed) =>
      socket.send(Buffer.alloc(bytes), at, to, (error) => (error ? failed(error) : done())),
    );
}

const close = (socket: Socket) => new Promise<void>((done) => socket.close(done));
const of = async (traffic: Traffic, address: string) => (await traffic.read()).find((each) => each.address === address);
const table = () => printed('nft list tables').then((text) => text.includes('weave_paths'));

async function trafficTests(t: Test): Promise<void> {
  const traffic = peerTraffic();
  const send = await sending(0, ME);
  const send6 = await sending(0, ME6);
  const back = await sending(0, PEER);

  await t.test('nothing is there before there are peers, nor missed', async (t) => {
    t.same([await traffic.read(), await traffic.isAsSet(), await table()], [[], true, false]);
  });

  await t.test('each peer by itself, both ways', async (t) => {
    t.equal(await traffic.setPeers([PEER, OTHER, PEER6]), undefined);
    await send(972, PEER);
    await send(72, PEER);
    await send6(52, PEER6);
    await back(172, ME);
    await send(500, PEER, 4790);
    t.match(await of(traffic, PEER), { sent: { packets: 2, bytes: 1100 } }, 'VXLAN only');
    t.match(await of(traffic, PEER6), { sent: { packets: 1, bytes: 100 }, received: { packets: 0 } });
    t.match(await of(traffic, OTHER), { sent: { packets: 0, bytes: 0 }, received: { packets: 0, bytes: 0 } });
    t.match(await of(traffic, PEER), { received: { packets: 1, bytes: 200 } });
  });

  await t.test('peers come and go, and others go on counting', async (t) => {
    await traffic.setPeers([PEER]);
    await send(72, PEER);
    await traffic.setPeers([PEER, OTHER]);
    await send(72, OTHER);
    t.match(await of(traffic, PEER), { sent: { packets: 3, bytes: 1200 } });
    t.match(await of(traffic, OTHER), { sent: { packets: 1, bytes: 100 } });
    await traffic.setPeers([PEER]);
    await traffic.setPeers([PEER, OTHER]);
    t.match(await of(traffic, OTHER), { sent: { packets: 0 } }, 'listed anew, it begins anew');
  });

  await t.test('another daemon goes on', async (t) => {
    const next = peerTraffic();
    await next.setPeers([PEER, OTHER]);
    t.match(await of(next, PEER), { sent: { packets: 3, bytes: 1200 } });
  });

  await t.test('what somebody takes away is missed, set again, and never less', async (t) => {
    for (const meddling of [
      'nft flush ruleset',
      'nft delete table inet weave_paths',
      'nft flush chain inet weave_paths output',
      `nft delete element inet weave_paths to4 { ${PEER} }`,
      'nft add rule inet weave_paths output drop',
    ]) {
      const before = (await of(traffic, PEER))!.sent.packets;
      await run(meddling);
      t.equal(await traffic.isAsSet(), false, meddling);
      t.equal(await traffic.set(), undefined);
      t.equal(await traffic.isAsSet(), true);
      await send(72, PEER);
      t.equal((await of(traffic, PEER))!.sent.packets, before + 1, 'it goes on from where it was');
    }
  });

  await t.test('nothing of it is left', async (t) => {
    await run('nft add table inet theirs');
    await traffic.end();
    t.equal(await table(), false);
    await traffic.end();
    t.match(await printed('nft list tables'), /theirs/, 'and others stay');
  });
}

async function tests(): Promise<void> {
  t.strictSame(networkInterfaces(), {}, 'this is not the network namespace of the machine');
  // The peer's addresses are ours too: what is sent there comes in again.
  await run(`ip link set lo up
    ip link add eth0 type veth peer name other; ip link set other up; ip link set eth0 up
    ip addr add ${ME}/24 dev eth0; ip addr add ${PEER}/32 dev lo
    ip addr add ${ME6}/64 dev eth0 nodad; ip addr add ${PEER6}/128 dev lo nodad
    ip addr add 169.254.7.7/16 dev eth0
    ip link add docker0 type bridge; ip link set docker0 up
    ip addr add 172.17.0.1/16 dev docker0; ip addr add fd17::1/64 dev docker0 nodad
    ip link add weavegwtest type veth peer name gw; ip link set gw up; ip link set weavegwtest up
    ip addr add 10.32.0.1/12 dev weavegwtest`);
  await t.test('packets by peer', trafficTests);
  await t.test('our own addresses', addressTests);
}

async function addressTests(t: Test): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'weave-underlay-'));
  const datapath = kernelDatapath(join(dir, 'netns'));
  t.teardown(async () => {
    await datapath.destroy();
    rmSync(dir, { recursive: true });
  });
  const seen = async (): Promise<Observed> => (await datapath.observe([{ netns: 'host' }]))[0]!;
  t.same(underlayAddresses(await seen()), { ipv4: ME, ipv6: ME6 }, 'without a default route: not for containers');
  await run(`ip link add br0 type bridge; ip link set br0 up; ip addr add 198.51.100.5/24 dev br0
    ip route add default via 198.51.100.1`);
  t.same(
    underlayAddresses(await seen()),
    { ipv4: '198.51.100.5', ipv6: ME6 },
    'with one: where it leads, even a bridge',
  );
  t.same(underlayAddresses(await seen(), ['203.0.113.1']), { ipv4: '203.0.113.1' }, 'as somebody chose');
  await run('ip addr flush dev eth0; ip addr flush dev br0');
  t.same(underlayAddresses(await seen()), {}, 'none');
}

await inOwnNamespace(fileURLToPath(import.meta.url), tests);
