import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';

// node prober.ts: reads addresses, and says each as soon as it answers, to a port that nobody listens at.
const PORT = 9;
const BETWEEN_MS = 2;

for await (const address of createInterface(process.stdin)) probe(address);

function probe(address: string): void {
  const socket = createSocket('udp4');
  socket.connect(PORT, address, () => {
    const timer = setInterval(() => socket.send('?'), BETWEEN_MS);
    socket.once('error', () => {
      clearInterval(timer);
      socket.close();
      console.log(address);
    });
  });
}
