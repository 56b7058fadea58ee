import { parseArgs } from 'node:util';
import { WeaveError } from '@weave/sdk/client';

export interface DockerArguments {
  name?: string | undefined;
  restart?: string | undefined;
  env: string[];
  labels: Record<string, string>;
  volumes: string[];
}

/** What WEAVE_DOCKER_ARGS adds to the daemon's container, written as for docker run. WEAVE_INVALID_OPTION. */
export function dockerArguments(text: string = process.env.WEAVE_DOCKER_ARGS ?? ''): DockerArguments {
  const { values } = parse(text.split(/\s+/).filter(Boolean));
  const labels = (values.label ?? []).map((label) => [label.split('=')[0], label.split('=').slice(1).join('=')]);
  return {
    name: values.name,
    restart: values.restart,
    env: values.env ?? [],
    labels: Object.fromEntries(labels),
    volumes: values.volume ?? [],
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        name: { type: 'string' },
        restart: { type: 'string' },
        env: { type: 'string', short: 'e', multiple: true },
        label: { type: 'string', short: 'l', multiple: true },
        volume: { type: 'string', short: 'v', multiple: true },
      },
    });
  } catch (error) {
    throw new WeaveError('WEAVE_INVALID_OPTION', `WEAVE_DOCKER_ARGS cannot be used: ${(error as Error).message}`, {
      hint: 'It may have --name, --restart, --env, --label and --volume; all else is as the daemon needs it.',
    });
  }
}
