// Sockets for probing paths, in a network namespace of their own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { keepPort, probeSocket } from '@weave/native';

const ip = (...args) => execFileSync('ip', args);

/** As the SDK takes one over. */
async function adopted(address, port) {
  const fd = probeSocket(address, port);
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.bind({ fd });
  keepPort(fd);
  return socket;
}

const sent = (socket, size, port, address) =>
  new Promise((resolve) => socket.send(Buffer.alloc(size), port, address, (error) => resolve(error?.code ?? 'sent')));

ip('link', 'set', 'lo', 'up', 'mtu', '1500');
ip('addr', 'add', '192.0.2.1/32', 'dev', 'lo');
ip('addr', 'add', '2001:db8::1/128', 'dev', 'lo', 'nodad');

for (const [address, headers] of [
  ['192.0.2.1', 28],
  ['2001:db8::1', 48],
]) {
  test(`${address}: a packet goes whole or not at all`, async () => {
    const socket = await adopted(address, 6783);
    const received = once(socket, 'message');
    assert.equal(await sent(socket, 1500 - headers + 1, 6783, address), 'EMSGSIZE');
    assert.equal(await sent(socket, 1500 - headers, 6783, address), 'sent');
    const [message, from] = await received;
    assert.deepEqual([message.length, from.address, from.port], [1500 - headers, address, 6783]);
    socket.close();
  });

  test(`${address}: what the kernel believes of a path does not matter`, async () => {
    const to = address.includes(':') ? '2001:db8::2' : '192.0.2.2';
    const length = address.includes(':') ? '128' : '32';
    ip('link', 'add', 'out', 'mtu', '9000', 'type', 'veth', 'peer', 'name', 'nowhere');
    ip('link', 'set', 'nowhere', 'up');
    ip('link', 'set', 'out', 'up');
    ip('route', 'add', `${to}/${length}`, 'dev', 'out', 'mtu', 'lock', '1300');
    const socket = await adopted(address, 6783);
    assert.equal(await sent(socket, 9000 - headers, 6783, to), 'sent');
    assert.equal(await sent(socket, 9000 - headers + 1, 6783, to), 'EMSGSIZE');
    socket.close();
    ip('link', 'del', 'out');
  });

  test(`${address}: the port is nobody else's`, async () => {
    const socket = await adopted(address, 6783);
    const thief = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', reuseAddr: true });
    thief.bind(6783, address);
    const [error] = await once(thief, 'error');
    assert.equal(error.code, 'EADDRINUSE');
    socket.close();
  });
}

test('refusals say what', () => {
  const code = (address, port) => {
    try {
      probeSocket(address, port);
    } catch (error) {
      return error.code;
    }
  };
  assert.equal(code('192.0.2.99', 6783), 'EADDRNOTAVAIL');
  assert.equal(code('host', 6783), 'EINVAL');
  assert.equal(code('192.0.2.1', 0), 'EINVAL');
  assert.throws(() => keepPort(4000), { code: 'EBADF' });
});
