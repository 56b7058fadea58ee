import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

/** Runs a shell script to its end. */
export const run = (script: string) => promisify(execFile)('sh', ['-c', script]);

export const printed = async (script: string): Promise<string> => (await run(script)).stdout;

/** What a script prints in the network namespace of a process. */
export const inside = (pid: number, script: string): Promise<string> =>
  printed(`nsenter --target ${pid} --net sh -c '${script}'`);

export async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 5000; !(await holds()) && performance.now() < end; ) await delay(20);
}

const netns = (pid: number | 'self') => readlinkSync(`/proc/${pid}/ns/net`);

/** A process that does nothing, in a network namespace of its own. */
export class Sleeper implements AsyncDisposable {
  readonly pid: number;
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#process = child;
    this.pid = child.pid!;
  }

  static async start(): Promise<Sleeper> {
    const sleeper = new Sleeper(spawn('unshare', ['--net', 'sleep', '600'], { stdio: 'ignore' }));
    while (netns(sleeper.pid) === netns('self')) await delay(1);
    return sleeper;
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
  }

  /** Another one, once this one is gone, with the same process id; only in a pid namespace of its own. */
  async replaced(): Promise<Sleeper> {
    await this.kill();
    for (let tries = 0; tries < 100; tries++) {
      writeFileSync('/proc/sys/kernel/ns_last_pid', String(this.pid - 1));
      const sleeper = await Sleeper.start();
      if (sleeper.pid === this.pid) return sleeper;
      await sleeper.kill();
    }
    throw new Error(`no process got the id ${this.pid} again`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
