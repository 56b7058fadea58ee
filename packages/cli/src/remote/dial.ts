import { Duplex, PassThrough } from 'node:stream';
import { WeaveError } from '@weave/sdk/client';
import type Docker from 'dockerode';
import { ROOT } from '../image/layout.ts';
import { unlessGone } from './engine.ts';

/** How often to see whether the container is still there: what runs in one that ends is not always told to end. */
const LOOK_MS = 1000;

/** A connection to the daemon in its container: of a relay that the engine runs in there. */
export async function dialDaemon(docker: Docker, daemon: Docker.ContainerInspectInfo): Promise<Duplex> {
  const gone = untilGone(docker, daemon);
  try {
    const connection = await dial(docker, daemon.Id, gone.signal);
    connection.on('close', gone.unwatch);
    return connection;
  } catch (error) {
    gone.unwatch();
    throw gone.signal.aborted ? ended(daemon) : error;
  }
}

async function dial(docker: Docker, container: string, signal: AbortSignal): Promise<Duplex> {
  const exec = await docker.getContainer(container).exec({
    Cmd: ['node', `${ROOT}/cli/dist/bundle/relay.cjs`],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    abortSignal: signal,
  });
  const stream = await exec.start({ hijack: true, stdin: true, abortSignal: signal });
  const connection = overStream(docker, stream);
  signal.addEventListener('abort', () => connection.destroy(signal.reason));
  return connection;
}

/** In the engine's stream all that comes is framed, what goes is not. */
function overStream(docker: Docker, stream: Duplex): Duplex {
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

function untilGone(docker: Docker, daemon: Docker.ContainerInspectInfo) {
  const gone = new AbortController();
  const look = async () => {
    const now = await unlessGone(() => docker.getContainer(daemon.Id).inspect());
    if (now?.State.Pid !== daemon.State.Pid) gone.abort(ended(daemon));
  };
  const timer = setInterval(() => void look().catch((error) => gone.abort(error)), LOOK_MS);
  return { signal: gone.signal, unwatch: () => clearInterval(timer) };
}

const ended = ({ Name }: Docker.ContainerInspectInfo) =>
  new WeaveError('WEAVE_DAEMON_UNREACHABLE', `the container ${Name.slice(1)} has ended`);
