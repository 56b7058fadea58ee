import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connect, SOCKET } from '@weave/sdk';
import { type Rig, runHere, runProcess } from './rig.ts';

/** The same commands, and a daemon that is a process with a kernel to change: in namespaces of its own. */
export type LiveRig = Pick<Rig, 'runDir' | 'run' | 'spawn' | 'state'> & AsyncDisposable;

const NAMESPACES = ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child=SIGKILL'];
const source = join(import.meta.dirname, '../src/weave.ts');
const START_MS = 30_000;

/** With these network namespaces in `/run/netns`. */
export async function createLiveRig(targets: readonly string[]): Promise<LiveRig> {
  const dir = mkdtempSync(join(tmpdir(), 'weave-live-'));
  const runDir = join(dir, 'run');
  Object.assign(process.env, { WEAVE_RUN_DIR: runDir, WEAVE_STATE_DIR: join(dir, 'state') });
  const begin = `mount -t tmpfs none /run; mkdir -p /run/netns; ip link set lo up; ip link add br0 type bridge
    for name in ${targets.join(' ')}; do ip netns add $name; done
    exec "$0" --conditions=@weave/source ${source} daemon --plugin-dir ${dir}/plugins`;
  const child = spawn('unshare', [...NAMESPACES, 'sh', '-c', begin, process.execPath], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk) => (log += chunk));
  const weave = await connect({ socket: join(runDir, SOCKET), check: false });
  for (const end = Date.now() + START_MS; ; await delay(50))
    try {
      await weave.status();
      break;
    } catch (error) {
      if (child.exitCode !== null || Date.now() > end) throw new Error(`no daemon: ${error}\n${log}`);
    }
  const inside = insideOf(child.pid!);
  const look = ['', ...targets.map((name) => `-n ${name}`)].map((where) => `ip ${where} -j addr`).join('; ');
  return {
    runDir,
    run: (...args) => runHere(args),
    spawn: (...args) => runProcess('weave', args),
    async state() {
      const networks = await weave.networks.list();
      const details = await Promise.all(networks.map(({ id }) => weave.networks.inspect(id)));
      const kernel = await inside(`${look}; nsenter --net=${runDir}/netns ip -j addr`);
      return JSON.stringify([details, await weave.names.list()]) + kernel.trim().split('\n').map(shown).join('\n');
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function insideOf(unshare: number) {
  return async (script: string): Promise<string> => {
    const { stdout: children } = await promisify(execFile)('cat', [`/proc/${unshare}/task/${unshare}/children`]);
    const where = ['--target', children.trim(), '--net', '--mount', '--pid'];
    return (await promisify(execFile)('nsenter', [...where, 'sh', '-c', script])).stdout;
  };
}

interface Link {
  ifname: string;
  address: string;
  addr_info: { local: string; prefixlen: number; scope: string }[];
}

/** Without what comes and goes by itself. */
const shown = (listing: string): string =>
  (JSON.parse(listing) as Link[])
    .map(({ ifname, address, addr_info: addresses }) => {
      const given = addresses
        .filter(({ scope }) => scope === 'global')
        .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
      return [ifname, address, ...given].join(' ');
    })
    .join('\n');
