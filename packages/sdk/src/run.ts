import { spawn } from 'node:child_process';

export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end. Code 127 when there is none of that name. Never on the path of an attach. */
export function run(command: string, args: string[], input = ''): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const out = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (out.stdout += chunk));
    child.stderr.on('data', (chunk) => (out.stderr += chunk));
    child.on('error', () => resolve({ code: 127, ...out, stderr: `${command} is not installed` }));
    child.on('close', (code) => resolve({ code: code ?? 1, ...out }));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
