import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { dnsIsAnswer } from '@weave/native';

const PORT = 53;
const LENGTH = 2;

/** Asks one upstream; rejects when it says nothing that answers the question, or the signal fires. */
export type Ask = (upstream: string, question: Buffer, signal: AbortSignal) => Promise<Buffer>;

/**
 * From a port of its own that the kernel chooses at random, and only what comes from that upstream's address and port is
 * heard: a stranger has to guess port and id.
 */
export const askUdp: Ask = async (upstream, question, signal) => {
  const socket = createSocket(upstream.includes(':') ? 'udp6' : 'udp4');
  try {
    return await new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      socket.on('error', reject);
      socket.on('message', (answer) => {
        if (dnsIsAnswer(question, answer)) resolve(answer);
      });
      socket.connect(PORT, upstream, () => socket.send(question));
    });
  } finally {
    socket.close();
  }
};

export const askTcp: Ask = (upstream, question, signal) =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: upstream, port: PORT, signal });
    const parts: Buffer[] = [];
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`${upstream} hung up`)));
    socket.on('data', (part) => {
      parts.push(part);
      const answer = unframed(Buffer.concat(parts));
      if (!answer) return;
      socket.destroy();
      if (dnsIsAnswer(question, answer)) resolve(answer);
      else reject(new Error(`${upstream} answered something else`));
    });
    const length = Buffer.alloc(LENGTH);
    length.writeUInt16BE(question.length);
    socket.write(Buffer.concat([length, question]));
  });

function unframed(received: Buffer): Buffer | undefined {
  if (received.length < LENGTH) return undefined;
  const end = LENGTH + received.readUInt16BE();
  return received.length < end ? undefined : received.subarray(LENGTH, end);
}
