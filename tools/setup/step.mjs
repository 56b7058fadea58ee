// One line on the terminal for each step; what the step's commands print goes to a log file.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from './checkout.mjs';
import { environment } from './environment.mjs';

const shownOnFailure = 60;
let began = 0;
let logPath = '';

export class StepFailed extends Error {}

/** Starts the clock and an empty log. */
export function begin(name) {
  began = Date.now();
  mkdirSync(join(checkout, '.nx/log'), { recursive: true });
  logPath = join(checkout, `.nx/log/${name}.log`);
  writeFileSync(logPath, '');
}

export function say(text) {
  const elapsed = `${((Date.now() - began) / 1000).toFixed(1)} s`;
  console.log(`${elapsed.padStart(8)}  ${text}`);
}

/** Runs a command to its end: its exit code, and all that it printed. */
export async function run(argv, { cwd = checkout, env = {} } = {}) {
  const from = statSync(logPath).size;
  const log = openSync(logPath, 'a');
  const [file, ...args] = argv;
  const child = spawn(file, args, { cwd, env: { ...environment(), ...env }, stdio: ['ignore', log, log] });
  closeSync(log);
  const code = await new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new StepFailed(`cannot start ${file}: ${error.message}`)));
    child.on('close', (status, signal) => resolve(signal ? 128 : status));
  });
  return { code, output: readFileSync(logPath).subarray(from).toString() };
}

/** A step that the rest depends on: says what it does; when the command fails, shows its last lines and ends all. */
export async function step(title, argv, options) {
  say(title);
  const result = await run(argv, options);
  if (result.code !== 0) throw new StepFailed(failure(title, argv, result));
  return result;
}

export function failure(title, argv, { code, output }) {
  const lines = output.trimEnd().split('\n').slice(-shownOnFailure);
  return [...lines, '', `FAILED: ${title}: \`${argv.join(' ')}\` exited with ${code}; all output: ${logPath}`].join(
    '\n',
  );
}
