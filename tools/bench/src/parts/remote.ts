import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { keys, type Write } from '@weave/core';
import { memoryDirectory } from '@weave/core/testing';
import { open, type Weave } from '@weave/sdk';
import { cpuTime } from '../daemon.ts';
import { measured, timed } from '../measure.ts';
import { makeNamespaces } from '../namespaces.ts';

const COUNT = 10_000;
const ROUNDS = 5;
const AT_ONCE = 100;
const PEER = 'f'.repeat(32);
const hex = (n: number) => n.toString(16).padStart(2, '0');
const mac = (n: number) => `5a:77:0a:28:${hex(n >> 8)}:${hex(n & 255)}`;

/**
 * The first container of a network on this host, of which another has 10,000: they are heard of, stored, and known to
 * the kernel, each with a forwarding entry and two neighbours. Beside what `bridge` and `ip` take for the same entries.
 */
export async function remote(dir: string) {
  execFileSync('ip', ['addr', 'add', '192.0.2.1/32', 'dev', 'lo']);
  const directory = memoryDirectory();
  await using weave = await open({ stateDir: dir, directory: directory.client(), underlay: '192.0.2.1' });
  while (!(await weave.status()).cluster?.id) await sleep(10);
  const [network] = await weave.networks.list();
  await tell(directory, network!.id);
  const [netns] = makeNamespaces('r', 1) as [string];
  const ours: number[] = [];
  const byHand: number[] = [];
  const compared: number[] = [];
  const inJavaScript: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(
      await timed(async () => {
        await weave.attach({ netns });
        while ((await known(weave)) <= COUNT) await sleep(10);
        // What is asked of the kernel later is done later.
        await weave.attach({ netns });
      }),
    );
    if (entries() < 2 * COUNT) throw new Error(`there are ${entries()} entries`);
    const before = cpuTime(process.pid, process.pid);
    compared.push(await timed(() => weave.check()));
    inJavaScript.push(cpuTime(process.pid, process.pid) - before);
    await weave.detach({ netns });
    while ((await known(weave)) > 0) await sleep(10);
    byHand.push(await timed(async () => commands()));
  }
  return [
    measured(ours, {
      ...{ name: `${COUNT} endpoints of another host, heard of and in the kernel` },
      reference: { name: 'bridge -batch and ip -batch', samples: byHand },
    }),
    measured(ours, { name: `${COUNT} endpoints of another host`, atMost: 1000 }),
    measured(compared, { name: 'all of it compared with kernel and store' }),
    measured(inJavaScript, { name: 'of which CPU time of the JavaScript thread', atMost: 500 }),
  ];
}

const known = async (weave: Weave) => (await weave.endpoints.list({ everywhere: true })).length;

/** Another host and its endpoints. */
async function tell(directory: ReturnType<typeof memoryDirectory>, network: string): Promise<void> {
  const other = directory.client();
  const peer = { id: PEER, name: 'other', underlay: '192.0.2.2' };
  await other.commit({ writes: [{ key: keys.peer(PEER), value: JSON.stringify(peer) }] });
  for (let n = 0; n < COUNT; n += AT_ONCE) {
    const writes = Array.from({ length: AT_ONCE }, (_, i): Write => {
      const id = (n + i).toString(16).padStart(64, '0');
      const where = `${(n + i) >> 8}.${(n + i) & 255}`;
      const addresses = [`10.40.${where}/12`, `fd77:6561:7665::${where.replace('.', ':')}:1/64`];
      const endpoint = { id, network, peer: PEER, addresses, mac: mac(n + i), owner: 'weave' };
      return { key: keys.endpoint({ network, peer: PEER, id }), value: JSON.stringify(endpoint) };
    });
    await other.commit({ writes });
  }
}

const inSwitch = (...argv: string[]) =>
  execFileSync('nsenter', ['--net=/run/weave/netns', ...argv], { maxBuffer: 1 << 26 }).toString();

/** Of VXLAN devices and of their bridges. */
const entries = () => inSwitch('bridge', 'fdb', 'show').match(/extern_learn/g)?.length ?? 0;

/** The same on a device of their own, by those who are made for it: messages are sent many at a time. */
function commands(): void {
  const numbers = Array.from({ length: COUNT }, (_, n) => n);
  const batch = (program: string, lines: string[]) =>
    execFileSync(program, ['-batch', '-'], { input: lines.join('\n') });
  execFileSync('sh', [
    '-c',
    'ip link add hb type bridge; ip link add hx type vxlan id 7777 dstport 4790 local 192.0.2.1 nolearning; ip link set hx master hb up; ip link set hb up',
  ]);
  batch(
    'bridge',
    numbers.map((n) => `fdb replace ${mac(n)} dev hx dst 192.0.2.2 self master extern_learn`),
  );
  batch(
    'ip',
    numbers.flatMap((n) => [
      `neigh replace 10.40.${n >> 8}.${n & 255} lladdr ${mac(n)} dev hb nud permanent`,
      `neigh replace fd77:6561:7665::${n >> 8}:${n & 255}:1 lladdr ${mac(n)} dev hb nud permanent`,
    ]),
  );
  execFileSync('sh', ['-c', 'ip link del hx; ip link del hb']);
}
