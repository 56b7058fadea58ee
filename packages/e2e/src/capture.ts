import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from './lab.ts';
import { start } from './process.ts';

/** A frame that was sent to a host in VXLAN. */
export interface Frame {
  /** The host's name. */
  to: string;
  vni: number;
  /** As tcpdump shows what is inside. */
  text: string;
}

/** What comes after the last packet is still on its way. */
const LINGER_MS = 300;

/** Every frame in VXLAN that a host was sent while `work` went on. */
export async function captured(lab: Lab, work: () => Promise<unknown>): Promise<Frame[]> {
  const wire = ['nsenter', `--net=/proc/${lab.underlay.pid}/ns/net`];
  const tcpdump = start([...wire, 'tcpdump', '-lnne', '-i', 'any', 'udp', 'port', '4789']);
  let text = '';
  tcpdump.stdout!.on('data', (part) => {
    text += part;
  });
  await new Promise<void>((resolve, reject) => {
    tcpdump.stderr!.on('data', (part) => `${part}`.includes('listening on') && resolve());
    tcpdump.once('exit', (code) => reject(new Error(`tcpdump exited with ${code}`)));
  });
  await work();
  await sleep(LINGER_MS);
  tcpdump.kill('SIGINT');
  await once(tcpdump, 'close');
  // TIME PORT Out …: VXLAN, flags [I] (0x08), vni N⏎FRAME
  const packets = text.matchAll(/^\S+ (\S+) +Out .*VXLAN.* vni (\d+)\n(.*)$/gm);
  return [...packets].map(([, to, vni, frame]) => ({ to: to!, vni: Number(vni), text: frame! }));
}
