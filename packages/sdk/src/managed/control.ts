import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { asWeaveError, isWeaveError, WeaveError } from '@weave/core';
import type { Log } from '../log.ts';
import { channelOver } from './channel.ts';
import type { Decision, Side } from './decide.ts';
import { answer, ask, type Party } from './meeting.ts';
import type { Identity } from './pki.ts';
import { guessLimit } from './proof.ts';

const DEADLINE_MS = 15_000;
const CONNECT_MS = 3000;
/** Connections at once, in all and from one address: more are closed unheard. */
const MOST = { all: 256, address: 32 };

export interface ControlOptions {
  readonly identity: Identity;
  readonly port: number;
  /** Absent: all addresses of this host. */
  readonly bind?: readonly string[] | undefined;
  readonly log: Log;
}

/** Answers whoever asks to join, until it is closed. */
export async function serveControl(party: Party, options: ControlOptions): Promise<() => Promise<void>> {
  const { identity, port, bind = [undefined], log } = options;
  const salt = randomBytes(32).toString('hex');
  const guesses = guessLimit();
  const open = new Set<Socket>();
  const serve = async (socket: TLSSocket) => {
    const channel = channelOver(socket, DEADLINE_MS);
    try {
      await answer(party, channel, salt, guesses);
    } catch (error) {
      log('info', 'a host was not let in', { address: channel.address, why: (error as Error).message });
      // What is no error of ours is nobody else's concern.
      if (isWeaveError(error)) channel.send({ error });
    }
    channel.close();
  };
  const servers = bind.map((host) => {
    const server = createServer({ ...identity, minVersion: 'TLSv1.3', handshakeTimeout: CONNECT_MS }, serve);
    server.maxConnections = MOST.all;
    server.on('connection', (socket) => {
      const same = [...open].filter(({ remoteAddress }) => remoteAddress === socket.remoteAddress).length;
      if (same >= MOST.address) return socket.destroy();
      open.add(socket);
      return socket.once('close', () => open.delete(socket)).on('error', () => undefined);
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return { server, host };
  });
  const close = async () => {
    for (const socket of open) socket.destroy();
    await Promise.all(servers.map(({ server }) => new Promise((resolve) => server.close(resolve))));
  };
  try {
    for (const { server, host } of servers)
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ port, ...(host ? { host } : {}) }, () => {
          server.off('error', reject);
          server.on('error', (error) => log('warn', 'the control port failed', { error: error.message }));
          resolve();
        });
      });
  } catch (error) {
    await close();
    throw new WeaveError(
      'WEAVE_PORT_IN_USE',
      `cannot listen on the control port ${port}/tcp: ${(error as Error).message}`,
      {
        cause: error,
        hint: 'End what listens there.',
      },
    );
  }
  return close;
}

/** Meets the host at this address; what came of it. */
export async function meet(
  party: Party,
  address: string,
  ownPort: number,
): Promise<{ decision: Decision; theirs: Side }> {
  const { host, port } = parseTarget(address, ownPort);
  const socket = await opened(host, port);
  const channel = channelOver(socket, DEADLINE_MS);
  try {
    return await ask(party, channel);
  } catch (error) {
    throw isWeaveError(error) ? error : unreachable(address, error);
  } finally {
    channel.close();
  }
}

/** `host`, `host:port`, `[address]:port`, or an address of IPv6 as it is. */
export function parseTarget(text: string, otherwise: number): { host: string; port: number } {
  const [, bracketed, named, digits] = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^\s:[\]/]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? named ?? (/^[0-9a-fA-F:.]+(%\w+)?$/.test(text) ? text : undefined);
  const port = digits === undefined ? otherwise : Number(digits);
  if (host && port >= 1 && port <= 65535) return { host, port };
  throw new WeaveError('WEAVE_INVALID_REQUEST', `${text} is no host`, {
    hint: 'Write host, host:port or [address]:port.',
  });
}

function opened(host: string, port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    // Who it is says the password, which is bound to this connection, not the certificate, which nobody has signed yet.
    const socket = connect({ host, port, minVersion: 'TLSv1.3', rejectUnauthorized: false, servername: '' });
    const timer = setTimeout(() => socket.destroy(new Error('it does not answer')), CONNECT_MS);
    const failed = (error: Error) => {
      clearTimeout(timer);
      reject(unreachable(`${host}:${port}`, error));
    };
    socket.once('error', failed);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.off('error', failed);
      resolve(socket);
    });
  });
}

const unreachable = (address: string, cause: unknown) =>
  new WeaveError('WEAVE_PEER_UNREACHABLE', `${address}: ${asWeaveError(cause).message}`, { cause });
