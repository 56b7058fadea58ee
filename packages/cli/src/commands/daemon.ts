import { isIP } from 'node:net';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';

/** The second is the one that scripts for Weave 2.8 use. */
const PLUGIN_NAMES = ['weave', 'weavemesh'];

export const LOG_LEVELS = ['debug', 'info', 'warning', 'error'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

export interface DaemonOptions {
  stateDir: string;
  runDir: string;
  pluginDir: string;
  nameserver?: string;
  logLevel: LogLevel;
}

export const logLevelOption = () =>
  new Option('--log-level <level>', 'how much to log').choices([...LOG_LEVELS]).default('info');
export const nameserverOption = () =>
  new Option('--nameserver <ip>', 'give containers a route to this address on their weave interface').argParser(
    (text) => {
      if (!isIP(text)) throw new InvalidArgumentError('It is not an IP address.');
      return text;
    },
  );

/** What `launch` passes on as it is. */
export const daemonOptions = (command: Command): Command =>
  command
    .option('--state-dir <dir>', 'where this host’s records are kept', process.env.WEAVE_STATE_DIR ?? '/var/lib/weave')
    .option('--run-dir <dir>', 'where the daemon listens', process.env.WEAVE_RUN_DIR ?? '/run/weave')
    .option('--plugin-dir <dir>', 'where the engine looks for plugins', '/run/docker/plugins')
    .addOption(nameserverOption())
    .addOption(logLevelOption());

export const daemonCommand = (): Command =>
  daemonOptions(new Command('daemon').description('run the daemon in the foreground, until SIGTERM')).action(
    async (options: DaemonOptions) => {
      const { runDaemon } = await import('../daemon.ts');
      const sockets = PLUGIN_NAMES.map((name) => join(options.pluginDir, `${name}.sock`));
      await runDaemon({ ...options, sockets });
    },
  );
