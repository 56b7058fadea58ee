import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import type { Test } from 'tap';

export interface Upstream {
  /** Ids of the questions that came in. */
  readonly asked: number[];
}

type Send = (packet: Buffer) => void;
export type Script = (question: Buffer, send: Send, from: RemoteInfo) => void;

/** An upstream over UDP that says what the script has it say. */
export async function scripted(t: Test, address: string, script: Script): Promise<Upstream> {
  const socket = createSocket('udp4');
  t.teardown(() => new Promise<void>((done) => socket.close(done)));
  const asked: number[] = [];
  socket.on('message', (question, from) => {
    asked.push(question.readUInt16BE());
    script(question, (packet) => socket.send(packet, from.port, from.address), from);
  });
  socket.bind(53, address);
  await once(socket, 'listening');
  return { asked };
}

export const silent: Script = () => {};

/** The answer to a question without EDNS: one address. */
export function addressed(question: Buffer, address: string, ttl: number): Buffer {
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]);
  record.writeUInt32BE(ttl, 6);
  return saying(question, 0, { answers: 1 }, record);
}

/** "There is none", for so many seconds. */
export function absent(question: Buffer, ttl: number): Buffer {
  const record = Buffer.from([0, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0, ...Array(20).fill(0)]);
  record.writeUInt32BE(ttl, 5);
  record.writeUInt32BE(ttl, record.length - 4);
  return saying(question, 3, { authority: 1 }, record);
}

export function saying(
  question: Buffer,
  rcode: number,
  { answers = 0, authority = 0 } = {},
  ...parts: Buffer[]
): Buffer {
  const packet = Buffer.concat([question, ...parts]);
  packet[2]! |= 0x80;
  packet[3]! = rcode;
  packet.writeUInt16BE(answers, 6);
  packet.writeUInt16BE(authority, 8);
  return packet;
}
