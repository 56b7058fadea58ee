import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, lstatSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect as dial, createServer as listenOn } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'tap';
import { connect, serve, type Weave } from '../src/index.ts';
import { createRig } from './rig.ts';

test('the socket', async (t) => {
  await using rig = await createRig();
  t.equal(statSync(rig.socket).mode & 0o777, 0o660, 'is for its owner and group');

  await t.test('is made where its directory is not there yet, and left to whoever answers on it', async (t) => {
    const socket = join(rig.dir, 'run/weave/weave.sock');
    const listens = "require('net').createServer().listen(process.argv[1], () => console.log())";
    mkdirSync(dirname(socket), { recursive: true });
    const other = spawn(process.execPath, ['-e', listens, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(other.stdout, 'data');
    await t.rejects(serve(rig.here, socket), {
      code: 'WEAVE_ALREADY_RUNNING',
      message: `somebody answers on ${socket} already`,
    });
    other.kill('SIGSTOP');
    await t.rejects(serve(rig.here, socket), { code: 'WEAVE_ALREADY_RUNNING' }, 'or will when he goes on');
    other.kill('SIGKILL');
    await once(other, 'close');
    t.ok(lstatSync(socket).isSocket(), 'what a killed daemon leaves');
    await using _ = await serve(rig.here, socket);
    t.match(await (await connect({ socket })).status(), { version: /\d/ }, 'is replaced');
    await t.rejects(serve(rig.here, socket), { code: 'WEAVE_ALREADY_RUNNING' });
    t.match(await (await connect({ socket })).status(), { version: /\d/ }, 'and the one before still answers');
    rmSync(dirname(socket), { recursive: true });
    await using __ = await serve(rig.here, socket);
    t.match(await (await connect({ socket })).status(), { version: /\d/ }, 'in a directory that was not there');
  });

  await t.test('of somebody else is not mistaken for ours', async (t) => {
    const other = (answer: string, status = 200) =>
      createServer((_, response) => response.writeHead(status).end(answer)).listen(join(rig.dir, 'other.sock'));
    for (const [answer, status] of [
      ['{"message":"page not found"}', 404],
      ['hello', 200],
      ['', 200],
      ['[1]', 200],
      ['null', 200],
    ] as const) {
      const server = other(answer, status);
      await once(server, 'listening');
      await t.rejects(connect({ socket: join(rig.dir, 'other.sock') }), { code: 'WEAVE_DAEMON_UNREACHABLE' }, answer);
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    }
  });

  await t.test('that is not there, or is none', async (t) => {
    await t.rejects(connect({ socket: join(rig.dir, 'none.sock') }), {
      code: 'WEAVE_DAEMON_UNREACHABLE',
      kind: 'unavailable',
      message: `no weave daemon answers on ${join(rig.dir, 'none.sock')}`,
      hint: 'Start it with: weave launch (or, where no engine is: weave launch --local)',
    });
    writeFileSync(join(rig.dir, 'file'), '');
    await t.rejects(connect({ socket: join(rig.dir, 'file') }), { code: 'WEAVE_DAEMON_UNREACHABLE' });
    mkdirSync(join(rig.dir, 'closed'), { mode: 0 });
    chmodSync(join(rig.dir, 'closed'), 0);
    t.teardown(() => rmSync(join(rig.dir, 'closed'), { recursive: true }));
  });
});

/** Holds back every answer until it is told. */
function slow(weave: Weave) {
  let go: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const status = async () => {
    await gate;
    return weave.status();
  };
  return { weave: { ...weave, status }, go };
}

test('a daemon that stops', async (t) => {
  await t.test('answers what is under way', async (t) => {
    await using rig = await createRig();
    const socket = join(rig.dir, 'slow.sock');
    const { weave, go } = slow(rig.here);
    const api = await serve(weave, socket);
    const asked = connect({ socket });
    await delay(50);
    let closed = false;
    const closing = Promise.resolve(api[Symbol.asyncDispose]()).then(() => {
      closed = true;
    });
    await delay(50);
    t.notOk(closed, 'it waits for its own answer');
    go();
    await asked;
    await closing;
    t.notOk(lstatSync(socket, { throwIfNoEntry: false }), 'and its socket is gone');
  });

  await t.test('waits neither for who listens, nor for who says nothing', async (t) => {
    await using rig = await createRig({ way: 'connect' });
    const events = rig.weave.events();
    await rig.weave.status();
    const silent = dial(rig.socket);
    await once(silent, 'connect');
    await delay(20);
    const waiting = events.next();
    const begun = Date.now();
    await rig[Symbol.asyncDispose]();
    t.ok(Date.now() - begun < 2000, 'at once');
    t.match(await waiting, { done: true }, 'who listens is told that it is over');
    silent.destroy();
  });

  await t.test('or is killed', async (t) => {
    await using rig = await createRig();
    const socket = join(rig.dir, 'killed.sock');
    const server = listenOn((connection) => {
      connection.once('data', (request) => {
        if (String(request).startsWith('GET'))
          connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n');
        else connection.end('HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"result":null}');
        if (String(request).startsWith('GET')) setTimeout(() => connection.destroy(), 50);
      });
    }).listen(socket);
    await once(server, 'listening');
    const weave = await connect({ socket });
    await t.rejects(weave.events().next(), { code: 'WEAVE_DAEMON_UNREACHABLE' }, 'who listens is told');
    server.close();
    await once(server, 'close');
    await t.rejects(weave.status(), { code: 'WEAVE_DAEMON_UNREACHABLE' });
    await t.rejects(weave.events().next(), { code: 'WEAVE_DAEMON_UNREACHABLE' });
    await weave.close();
  });
});
