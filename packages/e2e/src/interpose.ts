import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Host } from './host.ts';

export interface Interposed extends AsyncDisposable {
  /** The methods that were called, in order. */
  readonly calls: string[];
}

/**
 * Stands between the engine of a host and its plugin, whose socket is `to`. What `after` does when a call has been
 * answered is finished before the next one goes through.
 */
export async function interpose(
  host: Host,
  { at, to }: { at: string; to: string },
  after: (method: string) => Promise<void>,
): Promise<Interposed> {
  const calls: string[] = [];
  let last = Promise.resolve();
  async function pass(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = await bytesOf(incoming);
    const method = incoming.url!.slice(1);
    const { status, headers, text } = await forward(host.path(to), method, body);
    calls.push(method);
    answer.writeHead(status, headers).end(text);
    await after(method);
  }
  const server = createServer({ requireHostHeader: false }, (incoming, answer) => {
    last = last.then(() => pass(incoming, answer)).catch((error: Error) => void answer.destroy(error));
  });
  await host.exec(['mkdir', '-p', at.slice(0, at.lastIndexOf('/'))]);
  server.listen(host.path(at));
  await once(server, 'listening');
  return {
    calls,
    [Symbol.asyncDispose]: async () => {
      await last;
      server.close();
      server.closeAllConnections();
    },
  };
}

function forward(socketPath: string, method: string, body: Buffer) {
  return new Promise<{ status: number; headers: IncomingMessage['headers']; text: Buffer }>((resolve, reject) => {
    const headers = { host: '', 'content-length': body.length };
    const sent = request({ socketPath, path: `/${method}`, method: 'POST', headers }, async (response) => {
      const { 'content-type': type, 'content-length': length } = response.headers;
      resolve({
        status: response.statusCode!,
        headers: { 'content-type': type, 'content-length': length },
        text: await bytesOf(response),
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
