#!/usr/bin/env node
import { join } from 'node:path';
import { connect, DEFAULT_DOMAIN, isWeaveError, SOCKET } from '@weave/sdk/client';
import { Command } from 'commander';
import type { RunOptions } from './daemon.ts';
import {
  examples,
  type LogLevel,
  logLevelOption,
  nameserverOption,
  runDirOption,
  stateDirOption,
  usageAfterErrors,
} from './options.ts';
import { failWith } from './output.ts';

interface Options {
  socket: string;
  nameserver?: string;
  logLevel: LogLevel;
  stateDir: string;
  runDir: string;
}

const program = new Command('weave-docker-plugin')
  .description(
    'The libnetwork plugin by itself: answers the engine on one socket, for the daemon of this host or in its place.',
  )
  .option('--socket <path>', 'where the engine looks for it', '/run/docker/plugins/weave.sock')
  .addOption(nameserverOption())
  .addOption(logLevelOption())
  .addOption(stateDirOption())
  .addOption(runDirOption())
  .addHelpText(
    'after',
    examples('weave-docker-plugin --nameserver 10.32.0.1', 'weave-docker-plugin --socket /run/docker/plugins/net.sock'),
  )
  .action(async ({ socket, ...rest }: Options) => {
    const { runDaemon, runPlugin } = await import('./daemon.ts');
    const options: RunOptions = { ...rest, sockets: [socket], domain: DEFAULT_DOMAIN };
    try {
      await using weave = await connect({ socket: join(rest.runDir, SOCKET) });
      await runPlugin(weave, options);
    } catch (error) {
      if (!isWeaveError(error) || error.code !== 'WEAVE_DAEMON_UNREACHABLE') throw error;
      await runDaemon(options);
    }
  });

usageAfterErrors(program)
  .parseAsync()
  .catch((error: unknown) => failWith(error, false));
