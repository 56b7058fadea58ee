import { fileURLToPath } from 'node:url';

/** The program that holds a container's process back: one static file for this machine. */
export const WAIT_PROGRAM = fileURLToPath(new URL(`weave-wait.linux-${process.arch}`, import.meta.url));
