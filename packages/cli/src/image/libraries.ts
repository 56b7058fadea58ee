import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { WeaveError } from '@weave/sdk/client';

/** What libc loads by name when it looks for a host. */
const LOADED_LATER = ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2'];

/** The shared libraries of a program or library, as the loader of this machine finds them, and the loader itself. */
export async function librariesOf(file: string): Promise<string[]> {
  const found = [...(await ldd(file)).matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x/gm)].map(([, path]) => path!);
  const libc = found.find((path) => /\/libc\.so\.6$/.test(path));
  const later = libc ? LOADED_LATER.map((name) => join(dirname(libc), name)).filter((path) => existsSync(path)) : [];
  return [...found, ...later];
}

async function ldd(file: string): Promise<string> {
  try {
    return (await promisify(execFile)('ldd', [file])).stdout;
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as { stdout?: string; stderr?: string; message: string };
    if (/not a dynamic executable|not a valid dynamic program/i.test(stdout + stderr)) return '';
    throw new WeaveError('WEAVE_IMAGE_FAILED', `the libraries of ${file} cannot be found: ${message}`, {
      cause: error,
    });
  }
}
