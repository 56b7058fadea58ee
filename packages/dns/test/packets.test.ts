import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Test, test } from 'tap';
import { serveNames } from '../src/index.ts';
import { dig, values } from './dig.ts';
import { inOwnNamespace } from './own-namespace.ts';

const HEADER = Buffer.from('123401000001000000000000', 'hex');
const NAME = Buffer.from('\x03web\x05weave\x05local\0\0\x01\0\x01', 'latin1');
const question = (flags: number, count: number, ...parts: Buffer[]) => {
  const header = Buffer.from(HEADER);
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(count, 4);
  return Buffer.concat([header, ...parts]);
};

/** What comes back to these packets, within half a second. */
async function said(t: Test, packets: Buffer[]): Promise<Buffer[]> {
  const socket = createSocket('udp4');
  const answers: Buffer[] = [];
  socket.on('message', (answer) => answers.push(answer));
  socket.connect(53, '127.0.0.1');
  await once(socket, 'connect');
  t.teardown(() => socket.close());
  for (const packet of packets) socket.send(packet);
  await sleep(500);
  return answers;
}

await inOwnNamespace(fileURLToPath(import.meta.url), async () => {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);

  await test('packets that are no question', async (t) => {
    await using names = await serveNames({ listen: [{ address: '127.0.0.1' }], resolvConf: '/dev/null' });
    names.update({ names: [{ id: 'web', name: 'web', addresses: ['10.32.0.1'] }] });
    const rcode = (answers: Buffer[]) => answers.map((answer) => answer[3]! & 0xf);

    t.strictSame(rcode(await said(t, [question(0x100, 1, NAME)])), [0]);
    for (const [what, packet] of Object.entries({
      'two questions': question(0x100, 2, NAME, NAME),
      'no question': question(0x100, 0),
      'a question cut short': question(0x100, 1, NAME.subarray(0, 9)),
      'a name that leads to itself': question(0x100, 1, Buffer.from([0xc0, 12, 0, 1, 0, 1])),
      'a tail': question(0x100, 1, NAME, Buffer.from('x')),
    }))
      t.strictSame(rcode(await said(t, [packet])), [1], what);
    const silent = [
      Buffer.alloc(0),
      Buffer.alloc(11),
      question(0x8180, 1, NAME),
      Buffer.alloc(5000, question(0x100, 1, NAME)),
    ];
    t.strictSame(await said(t, silent), []);
    t.strictSame(names.stats().malformed, 5);
    t.ok(names.stats().dropped >= 3);
  });

  await test('ten thousand packets of chance, and it answers as before', async (t) => {
    await using names = await serveNames({ listen: [{ address: '127.0.0.1' }], resolvConf: '/dev/null' });
    names.update({ names: [{ id: 'web', name: 'web', addresses: ['10.32.0.1'] }] });
    const socket = createSocket('udp4');
    t.teardown(() => socket.close());
    for (let i = 0; i < 10_000; i++) {
      const packet = crypto.getRandomValues(Buffer.alloc(i % 300));
      socket.send(packet, 53, '127.0.0.1');
      if (i % 100 === 0) await sleep(1);
    }
    t.strictSame(values(await dig('@127.0.0.1', 'web.weave.local')), ['10.32.0.1']);
  });
});
