import { Agent } from 'node:http';
import { isWeaveError, WeaveError } from '@weave/sdk/client';
import Docker from 'dockerode';
import { type EngineAddress, engineAddress, engineName } from './address.ts';

/** Of Docker 20.10, the oldest engine that Weave is tried with. */
const API_VERSION = [1, 41] as const;
const ANSWER_MS = 15_000;

/** The engine that the environment names, once it has answered and is found new enough. WEAVE_ENGINE_…, WEAVE_PERMISSION_DENIED. */
export async function openEngine(): Promise<Docker> {
  const address = engineAddress();
  const docker = client(address);
  const asked = { abortSignal: AbortSignal.timeout(ANSWER_MS) };
  const { ApiVersion, Version } = await ask<Docker.DockerVersion>(() => docker.version(asked as never) as never);
  if (isTooOld(ApiVersion))
    throw new WeaveError(
      'WEAVE_ENGINE_TOO_OLD',
      `the Docker engine at ${address.name} is ${Version}, which speaks API ${ApiVersion}; ${API_VERSION.join('.')} is needed`,
    );
  return docker;
}

/** All connections are made here, as the library's own way reads the environment differently from Docker. */
function client({ name, dial }: EngineAddress): Docker {
  const agent = Object.assign(new Agent({ keepAlive: true }), { createConnection: dial });
  try {
    return new Docker({ protocol: 'http', socketPath: name, host: undefined, agent } as Docker.DockerOptions);
  } catch (error) {
    throw engineFailure(error);
  }
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < API_VERSION[0] || (major === API_VERSION[0] && minor < API_VERSION[1]);
}

/** Asks the engine; what it fails with becomes ours. */
export async function ask<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw engineFailure(error);
  }
}

/** Undefined where the engine has no such thing. */
export async function unlessGone<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return undefined;
    throw engineFailure(error);
  }
}

interface EngineError extends NodeJS.ErrnoException {
  statusCode?: number;
  json?: { message?: string };
  /** Of TLS: what `message` says among the places in its source. */
  reason?: string;
}

const TLS_ERROR = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_|ERR_SSL_|EPROTO$)/;

/** The engine's error as one of ours. */
export function engineFailure(error: unknown): WeaveError {
  if (isWeaveError(error)) return error;
  const { code = '', statusCode, message = String(error), json, reason } = error as EngineError;
  const said = (json?.message ?? reason ?? message).trim();
  const engine = `the Docker engine at ${engineName()}`;
  const fail = (as: ConstructorParameters<typeof WeaveError>[0], what: string, hint?: string) =>
    new WeaveError(as, what, { cause: error, ...(hint ? { hint } : {}) });
  if (/HTTP request to an HTTPS server/.test(said) || said.includes('Parse Error'))
    return fail('WEAVE_ENGINE_DENIED', `${engine} wants TLS`, 'Set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH.');
  if (statusCode === 401 || statusCode === 403) return fail('WEAVE_ENGINE_DENIED', `${engine} refused: ${said}`);
  if (statusCode) return fail('WEAVE_ENGINE_REFUSED', `${engine} refused: ${said}`);
  if (TLS_ERROR.test(code))
    return fail('WEAVE_ENGINE_DENIED', `${engine} and this command do not trust each other: ${said}`);
  if (code === 'EACCES' || code === 'EPERM')
    return fail(
      'WEAVE_PERMISSION_DENIED',
      `no permission for ${engine}`,
      'Run as root, join the group docker, or name an engine that lets you in with DOCKER_HOST.',
    );
  return fail(
    'WEAVE_ENGINE_UNREACHABLE',
    `${engine} does not answer: ${said}`,
    'Start the Docker engine, or name one with DOCKER_HOST; without one: weave launch --local',
  );
}
