import { Command } from 'commander';
import { configCommand, envCommand, REMOVED_COMMANDS } from './commands/absent.ts';
import { attachCommand, detachCommand } from './commands/attach.ts';
import { attachBridgeCommand } from './commands/attach-bridge.ts';
import { checkCommand } from './commands/check.ts';
import { connectCommand, forgetCommand, primeCommand, rmpeerCommand } from './commands/cluster.ts';
import { completionCommand, wordsCommand } from './commands/completion.ts';
import { daemonCommand } from './commands/daemon.ts';
import { dnsAddCommand, dnsArgsCommand, dnsLookupCommand, dnsRemoveCommand } from './commands/dns.ts';
import { exposeCommand, hideCommand } from './commands/expose.ts';
import { launchCommand } from './commands/launch.ts';
import { networkCommand } from './commands/network.ts';
import { psCommand } from './commands/ps.ts';
import { reportCommand } from './commands/report.ts';
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
  report: reportCommand,
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
  'dns-add': dnsAddCommand,
  'dns-remove': dnsRemoveCommand,
  'dns-lookup': dnsLookupCommand,
  'dns-args': dnsArgsCommand,
  connect: connectCommand,
  forget: forgetCommand,
  prime: primeCommand,
  rmpeer: rmpeerCommand,
  env: envCommand,
  config: configCommand,
  daemon: daemonCommand,
  completion: completionCommand,
  version: versionCommand,
};

/** Not shown: nobody is to begin with them. */
const UNSHOWN: Record<string, () => Command> = {
  ...REMOVED_COMMANDS,
  words: () => wordsCommand(() => buildProgram()),
};

/**
 * The `weave` command; each subcommand parses, calls the SDK and prints. Where `word`, the first that was typed, names
 * one of them, the others are left out: making them takes as long as the daemon does to answer.
 */
export function buildProgram(word = ''): Command {
  const program = new Command('weave')
    .description('Container networks: any container, any host, nothing else to set up.')
    .configureHelp({ showGlobalOptions: true })
    .enablePositionalOptions()
    .option('--json', 'print JSON, for programs')
    .option('--run-dir <dir>', 'where the daemon listens')
    .hook('preAction', passOn);
  const all = Object.entries(COMMANDS);
  const chosen = [...all, ...Object.entries(UNSHOWN)].filter(([name]) => name === word);
  for (const [, make] of chosen.length > 0 ? chosen : all) program.addCommand(make());
  program.addHelpText('after', EXAMPLES);
  return usageAfterErrors(program);
}

/** What was said before the command's name is the command's: options come in any order. */
function passOn(program: Command, command: Command): void {
  for (const [name, value] of Object.entries(program.opts()))
    if (command.getOptionValueSource(name) !== 'cli') command.setOptionValueWithSource(name, value, 'cli');
}

const EXAMPLES = `
Examples:
  weave launch                                   start the daemon on this host
  docker network create --driver weave blue      a network of its own
  docker run --net blue busybox ip addr          a container on it
  weave attach 10.2.1.1/24 web                   give a running container an address
`;
