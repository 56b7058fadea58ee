import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { WeaveError } from '@weave/sdk/client';
import type Docker from 'dockerode';
import { ENGINE_SOCKET } from './where.ts';

export interface EngineAddress {
  /** As people write it. */
  name: string;
  options: Docker.DockerOptions;
  /** Whom to ask over ssh, as its arguments. */
  ssh?: string[];
}

const PORTS = { plain: 2375, tls: 2376 };

/** What DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH name, as Docker's own command takes them. */
export function engineAddress(env: NodeJS.ProcessEnv = process.env): EngineAddress {
  const name = env.DOCKER_HOST || `unix://${ENGINE_SOCKET}`;
  if (name.startsWith('unix://'))
    return { name, options: { socketPath: name.slice('unix://'.length) || ENGINE_SOCKET } };
  const { protocol, hostname, port, username, pathname } = parse(name);
  if (protocol === 'ssh:') {
    const at = [...(port ? ['-p', port] : []), '--', username ? `${username}@${hostname}` : hostname];
    return { name, options: { protocol: 'http', host: 'docker' }, ssh: at };
  }
  if (!['tcp:', 'http:', 'https:'].includes(protocol) || !['', '/'].includes(pathname)) throw unreadable(name);
  const isTls = protocol === 'https:' || Boolean(env.DOCKER_TLS_VERIFY);
  const none = { ca: undefined, cert: undefined, key: undefined };
  const at = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || (isTls ? PORTS.tls : PORTS.plain) };
  return {
    name,
    options: {
      ...at,
      ...(isTls ? { protocol: 'https', ...certificates(env) } : { protocol: 'http', ...none }),
    } as object,
  };
}

function parse(name: string): URL {
  try {
    return new URL(name.includes('://') ? name : `tcp://${name}`);
  } catch {
    throw unreadable(name);
  }
}

const unreadable = (name: string) =>
  new WeaveError('WEAVE_INVALID_OPTION', `DOCKER_HOST is ${name}, which names no engine`, {
    hint: 'Write it as unix:///var/run/docker.sock, tcp://host:2376 or ssh://user@host.',
  });

function certificates(env: NodeJS.ProcessEnv) {
  const folder = env.DOCKER_CERT_PATH || join(homedir(), '.docker');
  const read = (file: string) => {
    try {
      return readFileSync(join(folder, file));
    } catch (error) {
      throw new WeaveError('WEAVE_ENGINE_DENIED', `a certificate cannot be read: ${(error as Error).message}`, {
        hint: 'DOCKER_CERT_PATH names the folder of ca.pem, cert.pem and key.pem.',
        cause: error,
      });
    }
  };
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') };
}
