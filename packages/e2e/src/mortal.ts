import { type ChildProcess, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect, type Weave } from '@weave/sdk';
import type { Host } from './host.ts';

const PATIENCE_MS = 30_000;
const source = fileURLToPath(new URL('../src/failpoints.c', import.meta.url));

/** A daemon that can be killed anywhere, and started again. */
export interface Mortal {
  readonly weave: Weave;
  /** Returns the milliseconds until it answers. */
  start(): Promise<number>;
  isAlive(): boolean;
  kill(): Promise<void>;
  /** From now on points count; at the `n`-th the daemon dies. */
  arm(n: number): void;
  /** Names of the points that were passed since. */
  disarm(): string[];
}

/** The library that kills; see its source. */
export function failpoints(): { path: string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), 'weave-failpoints-'));
  const path = join(dir, 'failpoints.so');
  execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-o', path, source, '-ldl']);
  return { path, remove: () => rmSync(dir, { recursive: true }) };
}

export async function mortal(host: Host, library: string): Promise<Mortal> {
  const control = host.path('/run/failpoints');
  const socket = host.path('/run/weave/weave.sock');
  const weave = await connect({ socket, check: false });
  let process: ChildProcess | undefined;
  const isAlive = () => process?.exitCode === null && process.signalCode === null;
  return {
    weave,
    isAlive,
    async start() {
      const begun = performance.now();
      const env = { LD_PRELOAD: library, WEAVE_FAILPOINTS: '/run/failpoints' };
      process = host.spawn(['weave', 'daemon'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
      let log = '';
      process.stderr!.setEncoding('utf8').on('data', (text) => {
        log += text;
      });
      while (!log.includes('"ready"')) {
        if (!isAlive() || performance.now() - begun > PATIENCE_MS) throw new Error(`it does not start:\n${log}`);
        await sleep(5);
      }
      return performance.now() - begun;
    },
    async kill() {
      // Again and again: what it is entered by may not have begun it yet.
      while (isAlive()) {
        process!.kill('SIGKILL');
        await sleep(2);
      }
    },
    arm: (n) => writeFileSync(control, String(n)),
    disarm() {
      rmSync(control, { force: true });
      try {
        return readFileSync(`${control}.log`, 'utf8').split('\n').filter(Boolean);
      } catch {
        return [];
      } finally {
        rmSync(`${control}.log`, { force: true });
      }
    },
  };
}
