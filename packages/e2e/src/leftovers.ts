import { readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { startTime } from './process.ts';

const root = '/var/tmp';
const cgroupRoot = '/sys/fs/cgroup';

/** A lab's directory says whose it is: the pid and start time of the process that made it. */
export function labDirPrefix(): string {
  return join(root, `weave-lab-${process.pid}-${startTime(process.pid)}-`);
}

/** Removes what labs of dead processes left. */
export function cleanStaleLabs(): void {
  for (const name of readdirSync(root)) {
    const match = /^weave-lab-(\d+)-(\d+)-/.exec(name);
    if (!match || startTime(Number(match[1])) === match[2]) continue;
    const dir = join(root, name);
    killRecorded(dir);
    const deadline = Date.now() + 5000;
    while (!removeLeftovers(dir) && Date.now() < deadline) pause(20);
  }
}

/** Removes the cgroups, then the directory of a lab whose processes have ended; false when a cgroup is still busy. */
export function removeLeftovers(dir: string): boolean {
  const cgroup = basename(dir);
  const removed = [cgroupRoot, ...directories(cgroupRoot)].map((controller) => removeCgroup(join(controller, cgroup)));
  if (removed.includes(false)) return false;
  try {
    rmSync(dir, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}

/** Blocks: for where nothing may be awaited, as while the process exits. */
export function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function killRecorded(dir: string): void {
  for (const host of directories(dir)) {
    try {
      const [pid, started] = readFileSync(join(host, 'pid'), 'latin1').split(' ');
      if (startTime(Number(pid)) === started) process.kill(Number(pid), 'SIGKILL');
    } catch {} // it had not booted, or is gone
  }
}

function removeCgroup(path: string): boolean {
  for (const child of directories(path)) removeCgroup(child);
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

function directories(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(path, entry.name));
  } catch {
    return [];
  }
}
