import { spawn } from 'node:child_process';
import { Agent } from 'node:http';
import { Duplex } from 'node:stream';

/** Each connection is an ssh of the user's, with his settings and keys, as Docker's own command does it. */
export function sshAgent(at: readonly string[]): Agent {
  const agent = new Agent({ keepAlive: true });
  const connect = () => overSsh(at);
  return Object.assign(agent, { createConnection: connect });
}

function overSsh(at: readonly string[]): Duplex {
  const child = spawn('ssh', [...at, 'docker', 'system', 'dial-stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const connection = Duplex.from({ writable: child.stdin, readable: child.stdout });
  child.on('error', (error) => connection.destroy(error));
  connection.on('close', () => child.kill());
  // What the agent does to sockets that it keeps, and a pipe has no use for.
  const none = () => connection;
  return Object.assign(connection, { setKeepAlive: none, setNoDelay: none, setTimeout: none, ref: none, unref: none });
}
