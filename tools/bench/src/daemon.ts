import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect, type Weave } from '@weave/sdk';

export const command = fileURLToPath(new URL('../../../packages/cli/bin/weave.cjs', import.meta.url));
const START_LIMIT_MS = 30_000;

export interface Daemon extends AsyncDisposable {
  pid: number;
  weave: Weave;
  /** From the start of its process until it answered, in milliseconds. */
  ready: number;
}

/** The daemon as installed, with its own logs in `dir`. It is asked every 5 ms whether it is there. `node`: options for Node. */
export async function startDaemon(dir: string, node: readonly string[] = []): Promise<Daemon> {
  const started = performance.now();
  const log = openSync(`${dir}/weave.log`, 'a');
  const child = spawn(process.execPath, [...node, command, 'daemon', '--state-dir', dir], {
    stdio: ['ignore', log, log],
    // As `weave launch` and the unit do.
    env: { ...process.env, MALLOC_ARENA_MAX: '1' },
  });
  closeSync(log);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for (;;) {
    try {
      const weave = await connect();
      const ready = performance.now() - started;
      return {
        pid: child.pid!,
        weave,
        ready,
        async [Symbol.asyncDispose]() {
          await weave.close();
          child.kill('SIGTERM');
          await ended;
        },
      };
    } catch (error) {
      if (child.exitCode !== null || performance.now() - started > START_LIMIT_MS)
        throw new Error(readFileSync(`${dir}/weave.log`, 'utf8'), { cause: error });
      await sleep(5);
    }
  }
}

/** Milliseconds of a CPU that a process, or one of its threads, has had. */
export function cpuTime(pid: number, thread?: number): number {
  const threads = thread === undefined ? readdirSync(`/proc/${pid}/task`) : [`${thread}`];
  const nanoseconds = threads.map((id) =>
    Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6;
}

export const INSPECTED = '--inspect=127.0.0.1:9229';

/** Has a daemon that was started with {@link INSPECTED} collect its garbage, so that what it then has it holds. */
export async function collectGarbage(): Promise<void> {
  const [target] = (await (await fetch('http://127.0.0.1:9229/json/list')).json()) as [
    { webSocketDebuggerUrl: string },
  ];
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise((opened) => socket.addEventListener('open', opened, { once: true }));
  const answered = new Promise((told) => socket.addEventListener('message', told, { once: true }));
  socket.send(JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' }));
  await answered;
  socket.close();
}

/** Megabytes of memory that it has. */
export function residentMemory(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1]) / 1024;
}
