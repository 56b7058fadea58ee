import { Command } from 'commander';
import { attachCommand, detachCommand } from './commands/attach.ts';
import { checkCommand } from './commands/check.ts';
import { connectCommand, forgetCommand, primeCommand, rmpeerCommand } from './commands/cluster.ts';
import { daemonCommand } from './commands/daemon.ts';
import { dnsAddCommand, dnsArgsCommand, dnsLookupCommand, dnsRemoveCommand } from './commands/dns.ts';
import { launchCommand } from './commands/launch.ts';
import { networkCommand } from './commands/network.ts';
import { psCommand } from './commands/ps.ts';
import { statusCommand, versionCommand } from './commands/status.ts';
import { resetCommand, stopCommand } from './commands/stop.ts';
import { usageAfterErrors } from './options.ts';

const COMMANDS = {
  launch: launchCommand,
  stop: stopCommand,
  reset: resetCommand,
  status: statusCommand,
  check: checkCommand,
  network: networkCommand,
  attach: attachCommand,
  detach: detachCommand,
  ps: psCommand,
  'dns-add': dnsAddCommand,
  'dns-remove': dnsRemoveCommand,
  'dns-lookup': dnsLookupCommand,
  'dns-args': dnsArgsCommand,
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
    .configureHelp({ showGlobalOptions: true });
  const chosen = Object.entries(COMMANDS).filter(([name]) => name === word);
  for (const [, make] of chosen.length > 0 ? chosen : Object.entries(COMMANDS)) program.addCommand(make());
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
