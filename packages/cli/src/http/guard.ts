import type { Socket } from 'node:net';
import { BlockList, isIP } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { ListenAddress } from './address.ts';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

const isLoopback = (address: string): boolean => {
  const family = isIP(address);
  return family > 0 && LOOPBACK.check(address, family === 4 ? 'ipv4' : 'ipv6');
};

/**
 * Who asks has to be on this host, and no web page: a page may send forms to wherever it likes, and have its own name
 * resolve to 127.0.0.1. Where somebody had it listen for others, they are let in.
 */
export function guard(app: FastifyInstance, address: ListenAddress): void {
  app.addHook('onRequest', async ({ headers }, reply) => {
    if (headers.origin !== undefined) return reply.code(403).send('web pages are not answered\n');
  });
  if (typeof address === 'string' || !isLoopback(address.host)) return;
  // A kernel that routes 127.0.0.0/8 (route_localnet) lets in whoever is on one of its links.
  app.server.on('connection', (socket: Socket) => {
    if (!isLoopback(socket.remoteAddress ?? '')) socket.destroy();
  });
  app.addHook('onRequest', async ({ headers: { host } }, reply) => {
    if (host !== undefined && !isOurs(host)) return reply.code(403).send(`${host} is no name of this host\n`);
  });
}

/** Nobody but this host can have these. */
function isOurs(host: string): boolean {
  const name = host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
  return name.toLowerCase() === 'localhost' || isLoopback(name);
}
