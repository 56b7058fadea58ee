import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A process, known by when it started too: numbers are used again. */
export interface Process {
  readonly pid: number;
  readonly started: string;
  readonly args: readonly string[];
}

/** Undefined when it is not there, or has ended. */
export function findProcess(pid: number | undefined): Process | undefined {
  if (!pid) return undefined;
  try {
    const started = startOf(pid);
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    return started === undefined ? undefined : { pid, started, args };
  } catch {
    return undefined;
  }
}

function startOf(pid: number): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // After the name, which may hold anything: the state first, the start as the 20th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ', 20);
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

export function isRunning({ pid, started }: Process): boolean {
  try {
    return startOf(pid) === started;
  } catch {
    return false;
  }
}

const PATIENCE_MS = 5000;

/** Asks it to end, and soon makes it. */
export async function endProcess(process: Process): Promise<void> {
  const signal = (name: NodeJS.Signals) => isRunning(process) && globalThis.process.kill(process.pid, name);
  try {
    signal('SIGTERM');
    for (let waited = 0; waited < PATIENCE_MS && isRunning(process); waited += 50) await delay(50);
    signal('SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
  while (isRunning(process)) await delay(10);
}
