import { spawn } from 'node:child_process';
import { asWeaveError, isFileLimit } from '@weave/core';

export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a command to its end. Code 127 when there is none of that name. Never on the path of an attach.
 * WEAVE_TOO_MANY_FILES when it cannot be talked to.
 */
export function run(command: string, args: string[], input = ''): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const out = { stdout: '', stderr: '' };
    child.on('error', (error) => {
      if (isFileLimit(error)) reject(asWeaveError(error));
      else resolve({ code: 127, ...out, stderr: `${command} is not installed` });
    });
    // Without pipes for them there are none.
    if (!child.stdin) return;
    child.stdout.on('data', (chunk) => (out.stdout += chunk));
    child.stderr.on('data', (chunk) => (out.stderr += chunk));
    child.on('close', (code) => resolve({ code: code ?? 1, ...out }));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
