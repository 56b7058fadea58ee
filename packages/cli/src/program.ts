import { Command } from 'commander';
import { attachCommand, detachCommand } from './commands/attach.ts';
import { attachBridgeCommand } from './commands/attach-bridge.ts';
import { checkCommand } from './commands/check.ts';
import { connectCommand, forgetCommand, primeCommand, rmpeerCommand } from './commands/cluster.ts';
import { daemonCommand } from './commands/daemon.ts';
import { exposeCommand, hideCommand } from './commands/expose.ts';
import { launchCommand } from './commands/launch.ts';
import { networkCommand } from './commands/network.ts';
import { psCommand } from './commands/ps.ts';
import { runCommand } from './commands/run.ts';
import { setupCommand } from './commands/setup.ts';
import { restartCommand, startCommand } from './commands/start.ts';
import { statusCommand, versionCommand } from './commands/status.ts';
import { resetCommand, stopCommand } from './commands/stop.ts';
import { usageAfterErrors } from './options.ts';

const COMMANDS = {
  setup: setupCommand,
  launch: launchCommand,
  stop: stopCommand,
  reset: resetCommand,
  status: statusCommand,
  check: checkCommand,
  network: networkCommand,
  attach: attachCommand,
  detach: detachCommand,
  run: runCommand,
  start: startCommand,
  restart: restartCommand,
  expose: exposeCommand,
  hide: hideCommand,
  'attach-bridge': attachBridgeCommand,
  ps: psCommand,
  connect: connectCommand,
  forget: forgetCommand,
  prime: primeCommand,
  rmpeer: rmpeerCommand,
  daemon: daemonCommand,
  version: versionCommand,
};

/**
 * The `weave` command; each subcommand parses, calls the SDK and prints. Where `word`, the first that was typed, names
 * one of them, the others are left out: making them takes as long as the daemon does to answer.
 */
export function buildProgram(word = ''): Command {
  const program = new Command('weave')
    .description('Container networks: any container, any host, nothing else to set up.')
    .configureHelp({ showGlobalOptions: true })
    .enablePositionalOptions();
  const chosen = Object.entries(COMMANDS).filter(([name]) => name === word);
  for (const [, make] of chosen.length > 0 ? chosen : Object.entries(COMMANDS)) program.addCommand(make());
  program.addHelpText('after', EXAMPLES);
  return usageAfterErrors(program);
}

const EXAMPLES = `
Examples:
  weave launch                                   start the daemon on this host
  docker network create --driver weave blue      a network of its own
  docker run --net blue busybox ip addr          a container on it
  weave attach 10.2.1.1/24 web                   give a running container an address
`;
