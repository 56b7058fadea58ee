import { Duplex, PassThrough } from 'node:stream';
import { WeaveError } from '@weave/sdk/client';
import type Docker from 'dockerode';
import { ROOT } from '../image/layout.ts';

/** A connection to the daemon in the container: of a relay that the engine runs in there. */
export async function dialDaemon(docker: Docker, container: string): Promise<Duplex> {
  const exec = await docker.getContainer(container).exec({
    Cmd: ['node', `${ROOT}/cli/dist/bundle/relay.cjs`],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
  });
  const stream = await exec.start({ hijack: true, stdin: true });
  const out = new PassThrough();
  const complaints = new PassThrough().setEncoding('utf8');
  docker.modem.demuxStream(stream, out, complaints);
  const connection = new Duplex({
    read: () => void out.resume(),
    write: (chunk, _encoding, done) => void stream.write(chunk, done),
    final: (done) => void stream.end(done),
    destroy: (error, done) => {
      stream.destroy();
      done(error);
    },
  });
  out.on('data', (chunk) => {
    if (!connection.push(chunk)) out.pause();
  });
  stream.on('error', (error) => connection.destroy(error));
  stream.on('end', () => {
    const said: string | null = complaints.read();
    if (said)
      connection.destroy(new WeaveError('WEAVE_DAEMON_UNREACHABLE', `the weave daemon does not answer: ${said}`));
    out.end();
  });
  out.on('end', () => connection.push(null));
  return connection;
}
