// What the demo made, so that `--down` removes that and nothing else.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

export const folder = '/var/lib/weave-demo';
const file = `${folder}/made.json`;

export function readRecord() {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
}

/** Written before the thing is made: what a crash leaves can be removed too. */
export function record(made) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, JSON.stringify({ ...readRecord(), ...made }, null, 2));
}

export function forget() {
  rmSync(folder, { recursive: true, force: true });
}
