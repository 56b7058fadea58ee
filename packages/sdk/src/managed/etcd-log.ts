import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';

const MOST = 1024 * 1024;

/**
 * Tells what is added to a file from now on, line by line, each time that it is called. etcd's log is a file and no pipe:
 * it goes on where the daemon is killed. Once it is long, and all is told, it begins anew.
 */
export function tailLog(path: string, tell: (line: string) => void): () => void {
  const fd = openSync(path, 'a+', 0o600);
  let at = fstatSync(fd).size;
  closeSync(fd);
  let rest = '';
  const buffer = Buffer.alloc(64 * 1024);
  return () => {
    const file = openSync(path, 'a+', 0o600);
    try {
      if (fstatSync(file).size < at) at = 0;
      for (;;) {
        const got = readSync(file, buffer, 0, buffer.length, at);
        if (got === 0) break;
        at += got;
        const lines = (rest + buffer.toString('utf8', 0, got)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) tell(line);
      }
      if (at > MOST) {
        ftruncateSync(file, 0);
        at = 0;
      }
    } finally {
      closeSync(file);
    }
  };
}
