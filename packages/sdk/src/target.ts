import { type AttachTarget, type Datapath, type Endpoint, fail, HOST, leaveEndpoint, SWITCH } from '@weave/core';
import type { Engine } from './engine.ts';
import type { Host } from './host.ts';
import type { EngineContainer, Target } from './weave.ts';

export const netnsOf = (pid: number): string => `/proc/${pid}/ns/net`;

/** `names`: what a container calls itself; `waits`: whether its process waits to be attached. */
export type NamedTarget = AttachTarget & { names?: string; waits?: boolean };

/** The namespace behind what a user named. It must be there, and not be the host's own. */
export async function resolveTarget(datapath: Datapath, engine: Engine, target: Target): Promise<NamedTarget> {
  if ('container' in target) {
    const { names, waits = false, ...container } = await engine.container(target.container);
    return { ...containerTarget(datapath, container), ...(names ? { names } : {}), waits };
  }
  const path = 'pid' in target ? netnsOf(target.pid) : target.netns;
  const id = datapath.netnsId(path);
  if (!id)
    fail('WEAVE_NETNS_NOT_FOUND', `${'pid' in target ? `process ${target.pid}` : path} has no network namespace`);
  if (id === datapath.netnsId(SWITCH)) fail('WEAVE_INVALID_REQUEST', `${path} is Weave’s own network namespace`);
  if (id === datapath.netnsId(HOST)) fail('WEAVE_HOST_NETWORK', `${path} is the host’s own network namespace`);
  return { path, id };
}

export function containerTarget(datapath: Datapath, container: EngineContainer): AttachTarget {
  const { name, pid } = container;
  if (pid === 0) fail('WEAVE_NOT_RUNNING', `container ${name} is not running`);
  const netns = datapath.netnsId(netnsOf(pid));
  if (!netns) fail('WEAVE_NOT_RUNNING', `container ${name} died`);
  if (netns === datapath.netnsId(HOST))
    fail(
      'WEAVE_HOST_NETWORK',
      `container ${name} is running in the host network namespace, and therefore cannot be connected to weave`,
    );
  return { path: netnsOf(pid), id: netns, container };
}

/** The namespace of a container's last run is not gone back to, also when the kernel refuses the one of this run. */
export function leaveLastRun(host: Host, endpoint: Endpoint | undefined, netns: string): void {
  if (endpoint?.sandbox?.kind === 'netns' && endpoint.sandbox.id !== netns)
    host.commit(leaveEndpoint(host.state, endpoint.id));
}
