import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';

/** A connection to the engine over an ssh of the user's, with his settings and keys, as Docker's own command does it. */
export function overSsh(at: readonly string[]): Duplex {
  const child = spawn('ssh', [...at, 'docker', 'system', 'dial-stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const connection = Duplex.from({ writable: child.stdin, readable: child.stdout });
  child.on('error', (error) => connection.destroy(error));
  connection.on('close', () => child.kill());
  // What is done to sockets that are kept, and a pipe has no use for.
  const none = () => connection;
  return Object.assign(connection, { setKeepAlive: none, setNoDelay: none, setTimeout: none, ref: none, unref: none });
}
