import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Host } from './host.ts';
import { settled } from './witness.ts';

/** A daemon that is this process's own child, and so quickly killed and started again. */
export interface Daemon {
  readonly log: string[];
  /** Ends it at once. */
  kill(): Promise<void>;
}

/** Returns when it has found the engine. */
export async function startDaemon(host: Host, ...args: string[]): Promise<Daemon> {
  const child = host.spawn(['weave', 'daemon', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  const log: string[] = [];
  const lines = createInterface(child.stderr!);
  await new Promise<void>((found, failed) => {
    lines.on('line', (line) => {
      log.push(line);
      if (line.includes('following the engine')) found();
    });
    child.once('exit', () => failed(new Error(`the daemon ended:\n${log.join('\n')}`)));
  });
  return {
    log,
    kill: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Ends the daemon that was launched, at once. */
export async function killDaemon(host: Host): Promise<void> {
  const pid = await daemonPid(host);
  await host.exec(`kill -KILL ${pid}; while kill -0 ${pid} 2>/dev/null; do sleep 0.02; done`);
}

export async function daemonPid(host: Host): Promise<number> {
  return (JSON.parse(await host.weave('status', '--json')) as { pid: number }).pid;
}

/** What `weave check` says once it finds nothing, or else still after 15 s. */
export const checked = (host: Host): Promise<string> =>
  settled(async () => (await host.exec(['weave', 'check'], { allowFail: true })).stdout.trim(), ALL_AGREE);

export const ALL_AGREE = 'The records agree with kernel, store and engine.';
