import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { keepPort, probeSocket } from '@weave/native';
import type { Log } from '../log.ts';

/** UDP, beside the control port of the same number. */
export const PROBE_PORT = 6783;
const REOPEN_MS = 5000;

/** IP and UDP, without options. */
export const headersTo = (address: string): number => (isIPv6(address) ? 40 : 20) + 8;

export interface Wire {
  /** `refused` when our own link does not take it whole. What is lost, is lost. */
  send(message: Buffer, to: string, refused: () => void): void;
  listen(hear: (message: Buffer, from: string) => void): void;
  close(): void;
}

/** Sockets on these addresses of ours, one of a family; an address that is not there yet is tried again. */
export function udpWire(local: readonly string[], port: number, log: Log): Wire {
  const sockets = new Map<boolean, Socket>();
  const waiting = new Map<string, NodeJS.Timeout>();
  let hear: (message: Buffer, from: string) => void = () => undefined;

  function open(address: string): void {
    waiting.delete(address);
    try {
      const socket = openSocket(address, port);
      sockets.set(isIPv6(address), socket);
      socket.on('message', (message, from) => from.port === port && hear(message, from.address));
      socket.on('error', (error) => {
        socket.close();
        sockets.delete(isIPv6(address));
        later(address, error);
      });
    } catch (error) {
      later(address, error as Error);
    }
  }

  function later(address: string, { message }: Error): void {
    log('warn', 'paths cannot be probed from here', { address, port, error: message });
    waiting.set(address, setTimeout(() => open(address), REOPEN_MS).unref());
  }

  for (const address of local) open(address);
  return {
    send(message, to, refused) {
      sockets.get(isIPv6(to))?.send(message, port, to, (error) => {
        if ((error as NodeJS.ErrnoException | null)?.code === 'EMSGSIZE') refused();
      });
    },
    listen: (listener) => {
      hear = listener;
    },
    close() {
      for (const timer of waiting.values()) clearTimeout(timer);
      for (const socket of sockets.values()) socket.close();
      sockets.clear();
    },
  };
}

/** No reason for the process to go on. */
function openSocket(address: string, port: number): Socket {
  const descriptor = probeSocket(address, port);
  const [type, family] = isIPv6(address) ? (['udp6', 6] as const) : (['udp4', 4] as const);
  // All are addresses, and none is to be looked up.
  const socket = createSocket({ type, lookup: (to, _options, found) => found(null, to, family) });
  socket.bind({ fd: descriptor });
  keepPort(descriptor);
  return socket.unref();
}
