import { WeaveError } from '@weave/sdk/client';
import type Docker from 'dockerode';
import { type DockerArguments, dockerArguments } from './docker-arguments.ts';
import { unlessGone } from './engine.ts';

/** What a container of ours is: the daemon, or a command that runs once. */
export const ROLE = 'works.weave.role';
/** Where the daemon listens, as its container's environment says. */
export const RUN_DIR_VARIABLE = 'WEAVE_RUN_DIR';
export type Role = 'daemon' | 'once';

/** WEAVE_INVALID_OPTION where it is none that Docker takes. */
export function containerName(): string {
  const name = dockerArguments().name ?? (process.env.WEAVE_CONTAINER_NAME || 'weave');
  if (/^[a-zA-Z0-9][\w.-]+$/.test(name)) return name;
  throw new WeaveError('WEAVE_INVALID_OPTION', `"${name}" is no name of a container`, {
    hint: 'WEAVE_CONTAINER_NAME has letters, digits, "_", "." and "-", and begins with one of the first two.',
  });
}

/** The daemon's container, in whatever state; WEAVE_CONTAINER_EXISTS where another has its name. */
export async function findDaemon(docker: Docker): Promise<Docker.ContainerInspectInfo | undefined> {
  const name = containerName();
  const found = await unlessGone(() => docker.getContainer(name).inspect());
  if (found && found.Config.Labels[ROLE] !== 'daemon')
    throw new WeaveError('WEAVE_CONTAINER_EXISTS', `Found another container named '${name}', which is not weave’s`);
  return found;
}

/** WEAVE_DAEMON_UNREACHABLE in whatever state it is but running. */
export async function runningDaemon(docker: Docker): Promise<Docker.ContainerInspectInfo> {
  const found = await findDaemon(docker);
  const unreachable = (what: string) =>
    new WeaveError('WEAVE_DAEMON_UNREACHABLE', `${containerName()} container ${what}`);
  if (!found) throw unreachable('is not present. Have you launched it?');
  if (found.State.Restarting) throw unreachable('is restarting.');
  if (!found.State.Running) throw unreachable('is not running.');
  return found;
}

/**
 * NET_ADMIN: links, addresses, routes, packet filters. NET_BIND_SERVICE: to answer for names at port 53. NET_RAW: to
 * announce addresses that move. SYS_ADMIN: to enter the network namespaces of containers, and to pin the switch’s.
 * SYS_PTRACE: to open those of processes that are not its own.
 */
export const CAPABILITIES = ['NET_ADMIN', 'NET_BIND_SERVICE', 'NET_RAW', 'SYS_ADMIN', 'SYS_PTRACE'];

/** The engine's own list without /proc/sys, where routing is turned on. */
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sysrq-trigger'];

/** For the daemon to end what is under way. */
export const STOP_SECONDS = 20;

export interface ContainerPlan {
  image: string;
  role: Role;
  command: string[];
  env: Record<string, string>;
  /** Directories of the host. */
  dirs: string[];
  restart: string;
}

/** A container that sees of the host what a process of its own would, as far as the daemon needs it. */
export function containerOptions(plan: ContainerPlan, extra: DockerArguments): Docker.ContainerCreateOptions {
  const { image, role, command, env, dirs, restart } = plan;
  return {
    Image: image,
    Cmd: command,
    Env: [...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...extra.env],
    Labels: { ...extra.labels, [ROLE]: role },
    StopTimeout: STOP_SECONDS,
    HostConfig: {
      NetworkMode: 'host',
      PidMode: 'host',
      UsernsMode: 'host',
      CapDrop: ['ALL'],
      CapAdd: CAPABILITIES,
      // AppArmor's usual profile forbids to mount, SELinux's to use the engine's socket.
      SecurityOpt: ['apparmor=unconfined', 'label=disable', 'no-new-privileges'],
      ReadonlyPaths: READ_ONLY,
      Binds: [...bindsOf(dirs), ...extra.volumes],
      RestartPolicy: { Name: extra.restart ?? restart },
    },
  } as Docker.ContainerCreateOptions;
}

/**
 * All of /run: the engine's socket and the plugin's, made anew with each start of theirs, and network namespaces that are
 * pinned there by whomever. Shared both ways, as the switch is pinned there by us.
 */
function bindsOf(dirs: readonly string[]): string[] {
  const below = (dir: string) => dir === '/run' || dir.startsWith('/run/');
  return ['/run', ...dirs.filter((dir) => !below(dir))].map((dir) => `${dir}:${dir}:rshared`);
}

/** The last lines that a container wrote: from where a command of ours says what is wrong, if it does. */
export async function lastWords(container: Docker.Container): Promise<string> {
  const framed = await container.logs({ stdout: true, stderr: true, tail: 20 }).catch(() => Buffer.alloc(0));
  const lines = unframed(framed as unknown as Buffer)
    .trim()
    .split('\n');
  const at = lines.findLastIndex((line) => line.startsWith('weave: '));
  return (
    lines
      .slice(Math.max(at, 0))
      .join('\n')
      .replace(/^weave: /, '') || 'it said nothing'
  );
}

/** Each piece of output has a header of 8 bytes, its length the last 4 of them. */
function unframed(bytes: Buffer): string {
  const pieces: Buffer[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const end = at + 8 + bytes.readUInt32BE(at + 4);
    pieces.push(bytes.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(pieces).toString();
}
