import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import type { ImageFile } from './files.ts';

const CHUNKS = { highWaterMark: 256 * 1024 };

/** Names the content: the same of the same files, wherever they are on this machine and whenever they were written. */
export async function hashOf(files: readonly ImageFile[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) {
    hash.update(`\0${file.path}\0${file.executable ?? false}\0`);
    if ('from' in file) for await (const chunk of createReadStream(file.from, CHUNKS)) hash.update(chunk);
    else hash.update('link' in file ? file.link : file.text);
  }
  return hash.digest('hex').slice(0, 12);
}

export const sizeOf = (files: readonly ImageFile[]): number =>
  files.reduce((sum, file) => sum + ('from' in file ? statSync(file.from).size : 0), 0);

/** A tar of the files; `read` is told how many bytes of them went. */
export function archiveOf(files: readonly ImageFile[], read: (bytes: number) => void): Readable {
  const archive = pack();
  fill(archive, files, read).catch((error: Error) => archive.destroy(error));
  return archive as unknown as Readable;
}

type Archive = ReturnType<typeof pack>;

async function fill(archive: Archive, files: readonly ImageFile[], read: (bytes: number) => void): Promise<void> {
  for (const file of files) {
    const header = { name: file.path.slice(1), mode: file.executable ? 0o755 : 0o644, mtime: new Date(0) };
    if ('link' in file) archive.entry({ ...header, type: 'symlink', linkname: file.link });
    else if ('text' in file) archive.entry(header, file.text);
    else await copy(archive, { ...header, size: statSync(file.from).size }, file.from, read);
  }
  archive.finalize();
}

async function copy(
  archive: Archive,
  header: { name: string; size: number },
  from: string,
  read: (bytes: number) => void,
): Promise<void> {
  const source = createReadStream(from, CHUNKS);
  source.on('data', (chunk) => read(chunk.length));
  await pipeline(source, archive.entry(header));
}
