import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { checkout } from './checkout.mjs';

/** The folder of the Node that the project runs on: it comes as an npm package, because the machine's may be older. */
export const nodeFolder = join(checkout, `node_modules/node-linux-${process.arch}/bin`);

/** The environment of everything we start: the checkout's own tools first. */
export function environment() {
  const folders = [
    nodeFolder,
    join(checkout, 'node_modules/.bin'),
    ...process.env.PATH.split(delimiter).filter((folder) => !folder.includes('node_modules')),
    join(homedir(), '.cargo/bin'),
    '/usr/sbin',
    '/sbin',
  ];
  return {
    ...process.env,
    PATH: folders.filter((folder) => existsSync(folder)).join(delimiter),
    NO_COLOR: '1',
    FORCE_COLOR: undefined,
    CARGO_TERM_COLOR: 'never',
  };
}

/** nx would set FORCE_COLOR to true; Node warns when NO_COLOR is beside it. */
export const forNx = { NO_COLOR: undefined, FORCE_COLOR: '0' };

/** Whether a command is on that PATH. */
export function installed(command) {
  return environment()
    .PATH.split(delimiter)
    .some((folder) => existsSync(join(folder, command)));
}
