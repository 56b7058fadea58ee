import type { Log } from '@weave/sdk';
import type Docker from 'dockerode';
import { dial } from './dial.ts';
import { PLUGIN_NAMES } from './plugin.ts';
import type { Inspect } from './snapshot.ts';

const NAME = `(${PLUGIN_NAMES.join('|')})`;
/** The engine's words for: nobody was there, nobody answered, what was there had lost its records, or had not joined the others yet. */
const OUR_FAULT = new RegExp(
  `plugin "${NAME}" not found|(/|%2F)${NAME}\\.sock|Driver\\.\\w+: (there is no (network|address pool) |this host has not joined )`,
);

/**
 * Starts the containers on `networks` that the engine would have running, but gave up as nobody answered for their
 * network: it does not try again. One that somebody stopped has no such error, as its last start went well.
 */
export async function startGivenUp(
  docker: Docker,
  inspect: Inspect,
  networks: readonly string[],
  log: Log,
  abortSignal: AbortSignal,
): Promise<void> {
  if (networks.length === 0) return;
  const filters = { status: ['exited'], network: [...networks] };
  const exited = await docker.listContainers({ all: true, filters, abortSignal });
  await Promise.all(
    exited.map(async ({ Id }) => {
      const container = await inspect(Id);
      if (container && isGivenUp(container)) await start(docker, container, log, abortSignal);
    }),
  );
}

const isGivenUp = ({ State, HostConfig }: Docker.ContainerInspectInfo): boolean =>
  State.Status === 'exited' &&
  !['', 'no'].includes(HostConfig.RestartPolicy?.Name ?? '') &&
  OUR_FAULT.test(State.Error);

async function start(docker: Docker, { Id, Name, State }: Docker.ContainerInspectInfo, log: Log, signal: AbortSignal) {
  const container = Name.replace(/^\//, '');
  try {
    await dial(docker, 'POST', `/containers/${Id}/start`, signal);
    log('info', 'started a container that the engine had given up', { container, error: State.Error });
  } catch (error) {
    log('error', 'a container that the engine gave up does not start', {
      container,
      error: error instanceof Error ? error.message : String(error),
      hint: `When that is mended: docker start ${container}`,
    });
  }
}
