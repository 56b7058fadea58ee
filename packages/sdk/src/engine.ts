import { asWeaveError, isFileLimit, MOST_NAMES, type Service, WeaveError } from '@weave/core';
import Docker from 'dockerode';
import { WAIT, WAITS_AT } from './wait.ts';
import type { EngineContainer } from './weave.ts';

/** What attaching needs of a container engine. */
export interface Engine {
  /**
   * By name or id; with what it calls itself, as in /etc/hosts, and whether its process waits for its interface.
   * WEAVE_CONTAINER_NOT_FOUND, WEAVE_ENGINE_UNREACHABLE.
   */
  container(nameOrId: string): Promise<EngineContainer & { names?: string; waits?: boolean }>;
}

/** What Docker lets a container be called. */
const CONTAINER = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/;

/** Docker's API at DOCKER_HOST, or its default socket. Connects only when asked something. */
export function dockerEngine(docker = new Docker()): Engine {
  return {
    async container(nameOrId) {
      // It becomes part of the path that the engine is asked for.
      if (!CONTAINER.test(nameOrId))
        throw new WeaveError('WEAVE_CONTAINER_NOT_FOUND', `there is no container ${JSON.stringify(nameOrId)}`);
      try {
        const info = await docker.getContainer(nameOrId).inspect();
        const { Hostname, Domainname } = info.Config;
        const names = Domainname ? `${Hostname}.${Domainname} ${Hostname}` : Hostname;
        const waits = info.Mounts.some(({ Destination, Source }) => Destination === WAITS_AT && Source.endsWith(WAIT));
        return { ...engineContainer(info), names, waits };
      } catch (error) {
        throw engineError(error, `container ${nameOrId}`);
      }
    },
  };
}

/** What an engine shows of a container, as far as it matters here. */
export function engineContainer({
  Id,
  Name,
  State,
  Config,
  NetworkSettings,
}: Docker.ContainerInspectInfo): EngineContainer {
  const networks = Object.values(NetworkSettings.Networks).filter(({ EndpointID }) => EndpointID);
  const { Hostname = '', Domainname = '', ExposedPorts } = Config;
  // The engine adds the start of the id, by which nobody calls it.
  const aliasesOf = ({ Aliases }: (typeof networks)[number]) =>
    ((Aliases ?? []) as string[]).filter((each) => !Id.startsWith(each));
  return {
    id: Id,
    name: Name.replace(/^\//, ''),
    pid: State.Running ? State.Pid : 0,
    endpoints: networks.map(({ EndpointID }) => EndpointID),
    hostname: Domainname ? `${Hostname}.${Domainname}` : Hostname,
    aliases: Object.fromEntries(networks.map((each) => [each.EndpointID, aliasesOf(each).slice(0, MOST_NAMES)])),
    services: Object.keys(ExposedPorts ?? {})
      .flatMap(serviceOf)
      .slice(0, MOST_NAMES),
  };
}

/** `80/tcp` */
function serviceOf(text: string): Service[] {
  const [, port, protocol] = /^(\d{1,5})\/(tcp|udp|sctp)$/.exec(text) ?? [];
  return port && protocol ? [{ port: Number(port), protocol: protocol as Service['protocol'] }] : [];
}

/** Docker's error about a container as one of ours; of another host's engine see the command's. */
export function engineError(error: unknown, what: string): WeaveError {
  if (isFileLimit(error)) return asWeaveError(error);
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  if (statusCode === 404) return new WeaveError('WEAVE_CONTAINER_NOT_FOUND', `there is no ${what}`, { cause: error });
  return new WeaveError('WEAVE_ENGINE_UNREACHABLE', `the Docker engine did not answer about ${what}: ${message}`, {
    cause: error,
  });
}
