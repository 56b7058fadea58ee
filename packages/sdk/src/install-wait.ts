import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WAIT_PROGRAM } from '@weave/native/wait';
import type { Log } from './log.ts';
import { WAIT } from './wait.ts';

/** Puts it where the engine can mount it from, and finds it also before the daemon runs. */
export function installWait(stateDir: string, log: Log): void {
  const target = join(stateDir, WAIT);
  try {
    if (contentOf(target)?.equals(readFileSync(WAIT_PROGRAM))) return;
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(WAIT_PROGRAM, `${target}.new`);
    chmodSync(`${target}.new`, 0o755);
    renameSync(`${target}.new`, target);
  } catch (error) {
    log('warn', 'weave run will not work', { error: (error as Error).message });
  }
}

function contentOf(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
