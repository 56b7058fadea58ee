import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { SOCKET } from '@weave/sdk/client';

export const ENGINE_SOCKET = '/var/run/docker.sock';

let local = false;

/** As `weave --local` asks for: whatever DOCKER_HOST says, this host is meant. */
export function stayLocal(): void {
  local = true;
}

/**
 * Whether the daemon is reached through the engine: of another host always, of this one where its socket may not be
 * opened. Root is told what is wrong with the socket instead.
 */
export function isBehindEngine(runDir: string): boolean {
  if (local) return false;
  const engine = process.env.DOCKER_HOST;
  if (engine && engine !== `unix://${ENGINE_SOCKET}`) return true;
  return process.getuid?.() !== 0 && !mayOpen(join(runDir, SOCKET));
}

function mayOpen(socket: string): boolean {
  try {
    accessSync(socket, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
