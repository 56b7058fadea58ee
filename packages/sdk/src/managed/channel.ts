import type { TLSSocket } from 'node:tls';
import { WeaveError } from '@weave/core';

/** Messages over one connection: JSON, each on a line of its own. */
export interface Channel {
  /** Keying material that only the two ends have. */
  readonly binding: Buffer;
  readonly address: string;
  send(message: unknown): void;
  /** Rejects where the other end stops, is too slow, or says too much. */
  receive(): Promise<unknown>;
  close(): void;
}

const LINE_MAX = 64 * 1024;

export function channelOver(socket: TLSSocket, deadlineMs: number): Channel {
  const lines: string[] = [];
  let rest = '';
  let ended: WeaveError | undefined;
  let wake: () => void = () => undefined;
  const end = (why: string) => {
    ended ??= new WeaveError('WEAVE_PEER_UNREACHABLE', `${socket.remoteAddress ?? 'the other host'}: ${why}`);
    socket.destroy();
    wake();
  };
  const deadline = setTimeout(() => end('it takes too long'), deadlineMs);
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    if (lines.length > 8 || Math.max(rest.length, ...lines.map(({ length }) => length)) > LINE_MAX)
      end('it says too much');
    wake();
  });
  socket.on('error', (error) => end(error.message));
  socket.on('end', () => end('it ended the conversation'));
  socket.on('close', () => {
    clearTimeout(deadline);
    end('it ended the conversation');
  });
  return {
    binding: socket.exportKeyingMaterial(32, 'EXPORTER-weave-join', Buffer.alloc(0)),
    address: socket.remoteAddress ?? '',
    send: (message) => void socket.write(`${JSON.stringify(message)}\n`),
    async receive() {
      while (lines.length === 0) {
        if (ended) throw ended;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return JSON.parse(lines.shift()!);
    },
    close: () => socket.end(),
  };
}
