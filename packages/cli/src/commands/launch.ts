import { mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, SOCKET, WeaveError } from '@weave/sdk/client';
import { Command } from 'commander';
import { type DaemonOptions, daemonOptions, examples } from '../options.ts';
import { failWith, print, withProgress } from '../output.ts';

interface Options extends DaemonOptions {
  local?: boolean;
  logFile: string;
  json?: boolean;
}

/** Weave 2.8's exit code for it. */
const ALREADY_RUNNING = 3;

export const launchCommand = (): Command =>
  daemonOptions(new Command('launch').description('start the daemon on this host'))
    .argument('[peer...]', 'hosts to connect to, each name or address')
    .requiredOption('--local', 'as a process of this host')
    .option('--log-file <file>', 'what the daemon logs to', '/var/log/weave.log')
    .option('--json', 'print JSON, for programs')
    .addHelpText('after', examples('weave launch --local', 'weave launch --local --log-level debug'))
    .action(async (peers: string[], options: Options) => {
      const socket = join(options.runDir, SOCKET);
      if (await statusAt(socket)) {
        failWith(new WeaveError('WEAVE_ALREADY_RUNNING', 'already running'), options.json ?? false);
        process.exitCode = ALREADY_RUNNING;
        return;
      }
      const status = await withProgress('launching weave', () => start(options, peers, socket));
      print(status, options.json, ({ version, pid }) => `weave ${version} runs as process ${pid}`);
    });

const statusAt = async (socket: string) => {
  try {
    await using weave = await connect({ socket });
    return await weave.status();
  } catch {
    return undefined;
  }
};

async function start(options: Options, peers: readonly string[], socket: string) {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, 'a', 0o640);
  const { local: _, json: __, logFile: ___, storeUser, password, dns, ...settings } = options;
  const words = [
    ...peers,
    ...(dns ? [] : ['--no-dns']),
    ...Object.entries(settings).flatMap(([name, value]) =>
      [value].flat().flatMap((each) => [`--${kebab(name)}`, each]),
    ),
  ];
  const args = [...process.execArgv, process.argv[1]!, 'daemon', ...words];
  // Not on the command line, which everybody may read.
  const secrets = {
    ...(storeUser ? { WEAVE_STORE_USER: storeUser } : {}),
    ...(password ? { WEAVE_PASSWORD: password } : {}),
  };
  // glibc gives each thread an arena of its own, and what is free in one is of no use to another.
  const env = { ...process.env, MALLOC_ARENA_MAX: '1', ...secrets };
  // Imported only here: it takes 2 ms, which every command would spend.
  const { spawn } = await import('node:child_process');
  const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', log, log], cwd: '/', env });
  let exited = false;
  child.once('exit', () => (exited = true));
  child.unref();
  for (let tries = 0; tries < 1200; tries++) {
    const status = await statusAt(socket);
    if (status) return status;
    if (exited)
      throw new WeaveError('WEAVE_DAEMON_UNREACHABLE', `the daemon did not start: ${lastError(options.logFile)}`, {
        hint: `See ${options.logFile}.`,
      });
    await delay(50);
  }
  throw new WeaveError('WEAVE_DAEMON_UNREACHABLE', 'the daemon started, but does not answer', {
    hint: `See ${options.logFile}.`,
  });
}

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** What a daemon that failed says last: `weave: what happened`, then the hint. */
function lastError(file: string): string {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines.findLast((line) => line.startsWith('weave: '))?.slice('weave: '.length) ?? lines.at(-1) ?? '';
}
