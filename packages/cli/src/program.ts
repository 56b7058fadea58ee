import { Command } from 'commander';
import { attachCommand, detachCommand } from './commands/attach.ts';
import { daemonCommand } from './commands/daemon.ts';
import { launchCommand } from './commands/launch.ts';
import { networkCommand } from './commands/network.ts';
import { psCommand } from './commands/ps.ts';
import { statusCommand, versionCommand } from './commands/status.ts';
import { resetCommand, stopCommand } from './commands/stop.ts';
import { usageAfterErrors } from './options.ts';

/** The `weave` command; each subcommand parses, calls the SDK and prints. */
export function buildProgram(): Command {
  const program = new Command('weave')
    .description('Container networks: any container, any host, nothing else to set up.')
    .configureHelp({ showGlobalOptions: true });
  for (const command of [
    launchCommand(),
    stopCommand(),
    resetCommand(),
    statusCommand(),
    networkCommand(),
    attachCommand(),
    detachCommand(),
    psCommand(),
    daemonCommand(),
    versionCommand(),
  ])
    program.addCommand(command);
  program.addHelpText('after', EXAMPLES);
  return usageAfterErrors(program);
}

const EXAMPLES = `
Examples:
  weave launch --local                           start the daemon on this host
  docker network create --driver weave blue      a network of its own
  docker run --net blue busybox ip addr          a container on it
  weave attach 10.2.1.1/24 web                   give a running container an address
`;
