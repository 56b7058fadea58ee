import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { WeaveError } from '@weave/sdk/client';
import { overSsh } from './ssh.ts';
import { ENGINE_SOCKET } from './where.ts';

export interface EngineAddress {
  /** As people write it. */
  name: string;
  dial(): Duplex;
}

const PORTS = { plain: 2375, tls: 2376 };

/** What DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH name, as Docker's own command takes them. */
export function engineAddress(env: NodeJS.ProcessEnv = process.env): EngineAddress {
  const name = engineName(env);
  if (name.startsWith('unix://')) {
    const path = name.slice('unix://'.length) || ENGINE_SOCKET;
    return { name, dial: () => connect(path) };
  }
  const { protocol, hostname, port, username, pathname } = parse(name);
  const host = hostname.replace(/^\[|\]$/g, '');
  if (protocol === 'ssh:') {
    const at = [...(port ? ['-p', port] : []), '--', username ? `${username}@${host}` : host];
    return { name, dial: () => overSsh(at) };
  }
  if (!['tcp:', 'http:', 'https:'].includes(protocol) || !['', '/'].includes(pathname)) throw unreadable(name);
  if (protocol !== 'https:' && !env.DOCKER_TLS_VERIFY)
    return { name, dial: () => connect(Number(port) || PORTS.plain, host) };
  const trust = certificates(env);
  return { name, dial: () => connectTls({ host, port: Number(port) || PORTS.tls, ...trust }) };
}

export const engineName = (env: NodeJS.ProcessEnv = process.env): string =>
  env.DOCKER_HOST || `unix://${ENGINE_SOCKET}`;

function parse(name: string): URL {
  const url = URL.parse(name.includes('://') ? name : `tcp://${name}`);
  if (!url?.hostname) throw unreadable(name);
  return url;
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
