import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface ExecOptions {
  stdin?: string | Buffer;
  /** Default 60 s. What still runs then is killed and the call fails, allowFail or not. */
  timeoutMs?: number;
  /** Return a non-zero exit code instead of throwing. */
  allowFail?: boolean;
  /** Added to the host's own environment. */
  env?: Record<string, string>;
}

export interface ExecResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface SpawnOptions {
  env?: Record<string, string>;
  /** Default: all three are pipes. */
  stdio?: StdioOptions;
}

/** What every process of the lab starts with: nothing of the caller's environment but this. */
const environment = {
  PATH: '/run/lab/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  /** Tells whose a process is, to whoever looks for what was left. */
  WEAVE_LAB_OWNER: String(process.pid),
};

/** Starts argv in a process group of its own, so that a timeout can end all of it. */
export function start(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
  const [file, ...args] = argv;
  return spawn(file!, args, {
    cwd: '/',
    env: { ...environment, ...options.env },
    stdio: options.stdio ?? 'pipe',
    detached: true,
  });
}

/** Runs argv to its end. `label` names it in the error. */
export async function run(argv: readonly string[], options: ExecOptions, label: string): Promise<ExecResult> {
  const child = start(argv, options.env ? { env: options.env } : {});
  const stdout = collect(child.stdout!);
  const stderr = collect(child.stderr!);
  child.stdin!.on('error', () => {}); // it may end without reading its input
  child.stdin!.end(options.stdin ?? '');
  const limit = options.timeoutMs ?? 60_000;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    signalled(-child.pid!, 'SIGKILL');
  }, limit);
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(status ?? (signal ? 128 : 1)));
  }).finally(() => clearTimeout(timer));
  const result = { code, stdout: stdout(), stderr: stderr() };
  if (late) throw failure(label, `did not end within ${limit} ms`, result);
  if (code !== 0 && !options.allowFail) throw failure(label, `exited with ${code}`, result);
  return result;
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

function failure(label: string, what: string, { stdout, stderr }: ExecResult): Error {
  return new Error(`${label} ${what}\n--- stdout\n${stdout}\n--- stderr\n${stderr}`);
}

/** Whether there was a process to send the signal to: as ChildProcess.kill, which does not throw either. */
export function signalled(pid: number, signal?: NodeJS.Signals | number): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** When a process was started, in clock ticks since boot; undefined when there is none. With the pid it is an identity. */
export function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : fields[18];
  } catch {
    return undefined;
  }
}

/** The only child of a process, such as what nsenter --pid forked. */
export function childOf(pid: number): number | undefined {
  try {
    const first = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')[0];
    return first ? Number(first) : undefined;
  } catch {
    return undefined;
  }
}
