import type { Host } from './host.ts';

export const DNS = '169.254.53.53';

const namespaceOf = async (host: Host, container: string): Promise<string> => {
  const pid = (await host.docker('inspect', '--format', '{{.State.Pid}}', container)).trim();
  return `/proc/${pid}/ns/net`;
};

/** Runs a command of the host's own in a container's network, with the container's /etc/resolv.conf. */
export async function within(host: Host, container: string, command: string): Promise<string> {
  const conf = await host.docker('inspect', '--format', '{{.ResolvConfPath}}', container);
  const script = `mount --bind ${conf.trim()} /etc/resolv.conf && ${command}`;
  const argv = ['unshare', '--mount', 'nsenter', `--net=${await namespaceOf(host, container)}`, 'sh', '-c', script];
  return (await host.exec(argv, { allowFail: true })).stdout.trim();
}

/** What a container is answered by the DNS itself, in order; `words` are dig's. */
export async function dig(host: Host, container: string, ...words: string[]): Promise<string[]> {
  const out = await within(host, container, `dig +short +time=2 +tries=2 @${DNS} ${words.join(' ')}`);
  return out.split('\n').filter(Boolean).sort();
}

/** `NOERROR`, `NXDOMAIN`, … */
export async function status(host: Host, container: string, ...words: string[]): Promise<string | undefined> {
  const out = await within(host, container, `dig +time=2 +tries=2 @${DNS} ${words.join(' ')}`);
  return /status: (\w+)/.exec(out)?.[1];
}

/** Asks for a name until the answer is as wanted, for as long as it may take; how long that was, and the last answer. */
export async function resolves(host: Host, container: string, name: string, want: readonly string[], ms = 5000) {
  const wanted = [...want].sort();
  const begun = performance.now();
  for (;;) {
    const got = await dig(host, container, name);
    const took = performance.now() - begun;
    if (`${got}` === `${wanted}` || took > ms) return { got, wanted, took };
  }
}

/**
 * Asks for a name every few milliseconds from within a container, from now on; answers when, in milliseconds since
 * 1970, it was first there.
 */
async function firstSeen(host: Host, container: string, name: string): Promise<() => Promise<number>> {
  const argv = [`--net=${await namespaceOf(host, container)}`, process.execPath, '-e', ASKER, DNS, name];
  const child = host.spawn(['nsenter', ...argv], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  const asking = new Promise<void>((resolve) => {
    child.stdout!.on('data', (chunk) => {
      out += chunk;
      if (out.startsWith('asking\n')) resolve();
    });
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  await asking;
  return async () => {
    await ended;
    return Number(out.split('\n')[1]);
  };
}

const ASKER = `
const [server, name] = process.argv.slice(1);
const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
const query = Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
const socket = require('dgram').createSocket('udp4');
socket.on('message', (answer) => {
  if (answer.readUInt16BE(6) === 0) return;
  console.log(Date.now());
  process.exit();
});
socket.bind(() => {
  console.log('asking');
  setInterval(() => socket.send(query, 53, server), 2);
});
setTimeout(() => process.exit(1), 20000);
`;

const STARTS = Number(process.env.WEAVE_STARTS ?? 20);

/** Milliseconds from a container's start on `host` until its name is answered in `asker` on `from`, of so many: sorted. */
export async function soonNamed(host: Host, network: string, from: Host, asker: string): Promise<number[]> {
  const took: number[] = [];
  for (let n = 0; n < STARTS; n++) {
    await host.docker('create', '--name', `soon${n}`, '--net', network, 'busybox', 'sleep', '3600');
    const seen = await firstSeen(from, asker, `soon${n}.weave.local`);
    await host.docker('start', `soon${n}`);
    const started = Date.parse(await host.docker('inspect', '--format', '{{.State.StartedAt}}', `soon${n}`));
    took.push((await seen()) - started);
    await host.docker('rm', '-f', `soon${n}`);
  }
  return took.sort((a, b) => a - b);
}

/** Of sorted milliseconds. */
export const spread = (took: readonly number[]): string =>
  [0.5, 0.99].map((q) => `p${q * 100} ${took[Math.min(took.length - 1, Math.floor(took.length * q))]} ms`).join(', ') +
  `, at most ${took.at(-1)} ms of ${took.length}`;
