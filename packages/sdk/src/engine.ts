import { asWeaveError, isFileLimit, WeaveError } from '@weave/core';
import Docker from 'dockerode';
import type { EngineContainer } from './weave.ts';

/** What attaching needs of a container engine. */
export interface Engine {
  /** By name or id; with what it calls itself, as in /etc/hosts. WEAVE_CONTAINER_NOT_FOUND, WEAVE_ENGINE_UNREACHABLE. */
  container(nameOrId: string): Promise<EngineContainer & { names?: string }>;
}

/** Docker's API at DOCKER_HOST, or its default socket. Connects only when asked something. */
export function dockerEngine(docker = new Docker()): Engine {
  return {
    async container(nameOrId) {
      try {
        const { Id, Name, State, Config } = await docker.getContainer(nameOrId).inspect();
        const { Hostname, Domainname } = Config;
        const names = Domainname ? `${Hostname}.${Domainname} ${Hostname}` : Hostname;
        return { id: Id, name: Name.replace(/^\//, ''), pid: State.Running ? State.Pid : 0, names };
      } catch (error) {
        throw engineError(error, `container ${nameOrId}`);
      }
    },
  };
}

/** Docker's error as one of ours: the one place where they meet. */
export function engineError(error: unknown, what: string): WeaveError {
  if (isFileLimit(error)) return asWeaveError(error);
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  if (statusCode === 404) return new WeaveError('WEAVE_CONTAINER_NOT_FOUND', `there is no ${what}`, { cause: error });
  return new WeaveError('WEAVE_ENGINE_UNREACHABLE', `the Docker engine did not answer about ${what}: ${message}`, {
    cause: error,
  });
}
