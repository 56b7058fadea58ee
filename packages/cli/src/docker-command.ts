import type { ChildProcess } from 'node:child_process';
import { WeaveError } from '@weave/sdk/client';

/** What a terminal sends to the command as well, as it is in its foreground. */
const FROM_TERMINAL: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'];
const PASSED_ON: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGWINCH'];

export interface Ended {
  code: number;
  stdout: string;
}

export interface Running {
  ended: Promise<Ended>;
  hasEnded(): boolean;
}

/** Runs the docker command in this one's place: its terminal, its streams, its signals. `captured`: not standard output. */
export async function docker(words: readonly string[], { captured = false } = {}): Promise<Running> {
  const { spawn } = await import('node:child_process');
  const child = spawn('docker', words, { stdio: ['inherit', captured ? 'pipe' : 'inherit', 'inherit'] });
  const restore = passSignals(child);
  let stdout = '';
  let over = false;
  child.stdout?.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => reject(unstartable(error)));
    child.on('close', (code, signal) => resolve({ code: code ?? 128 + numberOf(signal), stdout }));
  }).finally(() => {
    over = true;
    restore();
  });
  ended.catch(() => undefined);
  return { ended, hasEnded: () => over };
}

function passSignals(child: ChildProcess): () => void {
  const hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  const pass = (signal: NodeJS.Signals) => child.kill(signal);
  const ignore = () => undefined;
  for (const signal of FROM_TERMINAL) process.on(signal, hasTerminal ? ignore : pass);
  for (const signal of PASSED_ON) process.on(signal, pass);
  return () => {
    for (const signal of [...FROM_TERMINAL, ...PASSED_ON]) process.off(signal, pass).off(signal, ignore);
  };
}

const numberOf = (signal: NodeJS.Signals | null): number =>
  signal ? (process.getBuiltinModule('os').constants.signals[signal] ?? 0) : 0;

function unstartable(cause: NodeJS.ErrnoException): WeaveError {
  const what = cause.code === 'ENOENT' ? 'it is not installed' : cause.message;
  return new WeaveError('WEAVE_ENGINE_UNREACHABLE', `the docker command cannot be run: ${what}`, {
    cause,
    hint: 'Install it (apt-get install docker.io, or docker-cli), and see that it is in the PATH.',
  });
}
