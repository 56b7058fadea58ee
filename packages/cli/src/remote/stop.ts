import { existsSync } from 'node:fs';
import { isWeaveError, WeaveError } from '@weave/sdk/client';
import type Docker from 'dockerode';
import { ensureImage } from '../image/load.ts';
import { containerOptions, findDaemon, lastWords, RUN_DIR_VARIABLE, STOP_SECONDS } from './container.ts';
import { ask, openEngine, unlessGone } from './engine.ts';
import { ENGINE_SOCKET, isBehindEngine } from './where.ts';

/** The engine that may have the daemon in a container; undefined where there is none, as on a host without Docker. */
async function engineOf(runDir: string): Promise<Docker | undefined> {
  if (isBehindEngine(runDir)) return openEngine();
  if (!existsSync(ENGINE_SOCKET)) return undefined;
  return openEngine().catch(() => undefined);
}

/** Here a container may be that of another daemon, or of a stranger: the one that is meant listens in `runDir`. */
async function containerOf(docker: Docker, runDir: string): Promise<Docker.ContainerInspectInfo | undefined> {
  if (isBehindEngine(runDir)) return findDaemon(docker);
  const found = await unlessStranger(() => findDaemon(docker));
  return found?.Config.Env.includes(`${RUN_DIR_VARIABLE}=${runDir}`) ? found : undefined;
}

async function unlessStranger<T>(find: () => Promise<T>): Promise<T | undefined> {
  try {
    return await find();
  } catch (error) {
    if (isWeaveError(error) && error.code === 'WEAVE_CONTAINER_EXISTS') return undefined;
    throw error;
  }
}

/** Stops the daemon's container, and returns its pid; undefined where none runs, or where it is not `pid`. */
export async function stopContainer(runDir: string, pid?: number): Promise<number | undefined> {
  const docker = await engineOf(runDir);
  const found = docker && (await containerOf(docker, runDir));
  if (!docker || !found || !(found.State.Running || found.State.Restarting)) return undefined;
  if (pid !== undefined && found.State.Pid !== pid) return undefined;
  await ask(() => docker.getContainer(found.Id).stop({ t: STOP_SECONDS }));
  return found.State.Pid;
}

/** Whether the daemon has a container that does not run, from which nobody can be told that it leaves. */
export async function isStopped(runDir: string): Promise<boolean> {
  const docker = await engineOf(runDir);
  const found = docker && (await containerOf(docker, runDir));
  return found !== undefined && !found.State.Running;
}

export async function removeContainer(runDir: string): Promise<void> {
  const docker = await engineOf(runDir);
  const found = docker && (await containerOf(docker, runDir));
  if (docker && found) await unlessGone(() => docker.getContainer(found.Id).remove({ force: true, v: true }));
}

/** Runs a command of ours to its end on the engine's host, where no daemon runs that could do it. */
export async function runOnce(command: string[], dirs: string[]): Promise<void> {
  const docker = await openEngine();
  const image = await ensureImage(docker);
  const plan = { image, role: 'once' as const, command, env: {}, dirs, restart: 'no' };
  const options = containerOptions(plan, { env: [], labels: {}, volumes: [] });
  const container = await ask(() => docker.createContainer(options));
  try {
    await ask(() => container.start());
    const { StatusCode } = await ask(() => container.wait());
    if (StatusCode !== 0)
      throw new WeaveError('WEAVE_ENGINE_REFUSED', `weave ${command[0]} failed there: ${await lastWords(container)}`);
  } finally {
    await container.remove({ force: true, v: true }).catch(() => undefined);
  }
}
