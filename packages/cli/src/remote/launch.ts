import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, WeaveError } from '@weave/sdk/client';
import type Docker from 'dockerode';
import { pack } from 'tar-stream';
import { ensureImage } from '../image/load.ts';
import type { DaemonOptions } from '../options.ts';
import { withProgress } from '../output.ts';
import { containerName, containerOptions, findDaemon, lastWords, RUN_DIR_VARIABLE } from './container.ts';
import { dialDaemon } from './dial.ts';
import { dockerArguments } from './docker-arguments.ts';
import { ask, engineFailure, openEngine } from './engine.ts';
import { mustBeShared } from './shared.ts';

/** What the daemon is to be told, made of the command line of launch. */
export interface DaemonLine {
  words: string[];
  secrets: Record<string, string>;
}

export interface LaunchPlan {
  options: DaemonOptions & { restart?: boolean };
  line(options: DaemonOptions): DaemonLine;
}

/** Starts the daemon as a container, and returns its id once it answers. */
export async function launchContainer({ options, line }: LaunchPlan): Promise<string> {
  const docker = await openEngine();
  const extra = dockerArguments();
  const { stateDir, runDir, pluginDir, restart = true } = options;
  const dirs = [stateDir, runDir, pluginDir];
  mustBeShared(options, [...dirs, ...extra.volumes.flatMap((volume) => volume.split(':')[1] ?? [])]);
  await makeRoom(docker);
  const image = await ensureImage(docker);
  const files = storeFiles(options);
  const { words, secrets } = line({ ...options, ...files.options });
  const plan = {
    image,
    role: 'daemon' as const,
    command: ['daemon', ...words],
    env: { ...passedOn(), ...secrets, MALLOC_ARENA_MAX: '1', [RUN_DIR_VARIABLE]: runDir },
    dirs,
    restart: restart ? 'always' : 'no',
  };
  return withProgress('launching weave', async () => {
    const container = await create(docker, { ...containerOptions(plan, extra), name: containerName() });
    try {
      if (files.archive) await ask(() => container.putArchive(files.archive!, { path: '/' }));
      await ask(() => container.start());
      await answers(docker, container);
      return container.id;
    } catch (error) {
      await container.remove({ force: true, v: true }).catch(() => undefined);
      throw error;
    }
  });
}

/** Of this command alone, or said otherwise. */
const NOT_PASSED = ['WEAVE_CONTAINER_NAME', 'WEAVE_DOCKER_ARGS', 'WEAVE_ETCD', 'WEAVE_STATE_DIR'];

const passedOn = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      name.startsWith('WEAVE_') && !NOT_PASSED.includes(name) && value ? [[name, value]] : [],
    ),
  );

/** What is left of one that ended goes; WEAVE_ALREADY_RUNNING, WEAVE_CONTAINER_EXISTS. */
async function makeRoom(docker: Docker): Promise<void> {
  const found = await findDaemon(docker);
  if (!found) return;
  const { Status } = found.State;
  if (Status === 'running')
    throw new WeaveError('WEAVE_ALREADY_RUNNING', `weave is already running; you can stop it with 'weave stop'`);
  if (Status !== 'exited' && Status !== 'dead')
    throw new WeaveError('WEAVE_CONTAINER_BUSY', `the container ${containerName()} is ${Status}`);
  await ask(() => docker.getContainer(found.Id).remove({ v: true }));
}

const CONFLICT = 409;

/** The name may have been taken since there was room: by another launch at the same time. */
async function create(docker: Docker, options: Docker.ContainerCreateOptions): Promise<Docker.Container> {
  try {
    return await docker.createContainer(options);
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== CONFLICT) throw engineFailure(error);
    throw new WeaveError('WEAVE_CONTAINER_BUSY', `the container ${containerName()} was created by another meanwhile`, {
      cause: error,
    });
  }
}

const FILES = { storeCa: 'ca.pem', storeCert: 'cert.pem', storeKey: 'key.pem' } as const;
const FOLDER = '/etc/weave';

/** Files of the caller's machine, which the engine's has not. */
function storeFiles(options: DaemonOptions): { options: Partial<DaemonOptions>; archive?: NodeJS.ReadableStream } {
  const named = Object.entries(FILES).flatMap(([option, name]) => {
    const file = options[option as keyof typeof FILES];
    return file ? [{ option, path: `${FOLDER}/${name}`, text: read(file) }] : [];
  });
  if (named.length === 0) return { options: {} };
  const archive = pack();
  for (const { path, text } of named) archive.entry({ name: path.slice(1), mode: 0o600 }, text);
  archive.finalize();
  return { options: Object.fromEntries(named.map(({ option, path }) => [option, path])), archive: archive as never };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new WeaveError('WEAVE_INVALID_OPTION', `${file} cannot be read: ${(error as Error).message}`, {
      hint: 'Name files in PEM format.',
    });
  }
}

const PATIENCE_MS = 60_000;
const AGAIN_MS = 50;

/** Returns when the daemon in the container answers; WEAVE_DAEMON_UNREACHABLE with its last words when it ends instead. */
async function answers(docker: Docker, container: Docker.Container): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    const found = await ask(() => container.inspect());
    const { State, RestartCount } = found;
    if (!State.Running || State.Restarting || RestartCount > 0) break;
    if ((await pidOf(docker, found)) === State.Pid) return;
    await delay(AGAIN_MS);
  }
  const words = await lastWords(container);
  throw new WeaveError('WEAVE_DAEMON_UNREACHABLE', `the daemon did not start: ${words}`, {
    hint: 'Nothing of it was left. Launch it again once what it says is mended.',
  });
}

/** The daemon that answers there may be another one, which this one gives way to. */
async function pidOf(docker: Docker, container: Docker.ContainerInspectInfo): Promise<number | undefined> {
  try {
    await using weave = await connect({ dial: () => dialDaemon(docker, container), check: false });
    return (await weave.status()).pid;
  } catch {
    return undefined;
  }
}
