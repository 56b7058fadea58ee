import { mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Code, connect, isWeaveError, SOCKET, WeaveError } from '@weave/sdk/client';
import { Command } from 'commander';
import { type DaemonOptions, daemonOptions, examples } from '../options.ts';
import { failWith, print, withProgress } from '../output.ts';

interface Options extends DaemonOptions {
  local?: boolean;
  restart?: boolean;
  logFile: string;
  json?: boolean;
}

/** Weave 2.8's exit codes. */
const EXITS: Partial<Record<Code, number>> = {
  WEAVE_ALREADY_RUNNING: 3,
  WEAVE_CONTAINER_EXISTS: 2,
  WEAVE_CONTAINER_BUSY: 1,
  WEAVE_DAEMON_UNREACHABLE: 1,
};

export const launchCommand = (): Command =>
  daemonOptions(new Command('launch').description('start the daemon, as a container of the engine'))
    .argument('[peer...]', 'hosts to connect to, each name or address')
    .option('--local', 'as a process of this host instead, which needs no engine')
    .option('--no-restart', 'do not have the engine start its container again')
    .option('--log-file <file>', 'with --local: what the daemon logs to', '/var/log/weave.log')
    .option('--json', 'print JSON, for programs')
    .addHelpText(
      'after',
      examples('weave launch', 'weave launch host1 host2', 'weave launch --local --log-level debug'),
    )
    .action(async (peers: string[], options: Options) => {
      try {
        await (options.local ? launchHere : launchThere)(options, peers);
        sayIfOpen(options);
      } catch (error) {
        failWith(error, options.json ?? false);
        if (isWeaveError(error)) process.exitCode = EXITS[error.code] ?? process.exitCode;
      }
    });

/** Once, and not in the status of a host that stays alone: that nobody else can reach it may be all that it needs. */
function sayIfOpen({ store, password }: Options): void {
  if (store === undefined && !password)
    process.stderr.write('No password is set: whoever reaches TCP port 6783 can connect this host to others.\n');
}

async function launchThere(options: Options, peers: readonly string[]): Promise<void> {
  const { launchContainer } = await import('../remote/remote.ts');
  const id = await launchContainer({ options, line: (changed) => lineOf({ ...options, ...changed }, peers) });
  print({ id }, options.json, () => id);
}

async function launchHere(options: Options, peers: readonly string[]): Promise<void> {
  const socket = join(options.runDir, SOCKET);
  if (await statusAt(socket)) throw new WeaveError('WEAVE_ALREADY_RUNNING', 'already running');
  const status = await withProgress('launching weave', () => start(options, peers, socket));
  print(status, options.json, ({ version, pid }) => `weave ${version} runs as process ${pid}`);
}

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
  const { words, secrets } = lineOf(options, peers);
  const args = [...process.execArgv, process.argv[1]!, 'daemon', ...words];
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

/** What the daemon's own command line says, and what it is told by its environment. */
function lineOf(options: Options, peers: readonly string[]) {
  const { local: _, json: __, logFile: ___, restart: ____, storeUser, password, dns, ...settings } = options;
  const words = Object.entries(settings).flatMap(([name, value]) =>
    [value].flat().flatMap((each) => [`--${kebab(name)}`, `${each}`]),
  );
  // Not on the command line, which everybody may read.
  const secrets = {
    ...(storeUser ? { WEAVE_STORE_USER: storeUser } : {}),
    ...(password ? { WEAVE_PASSWORD: password } : {}),
  };
  return { words: [...peers, ...(dns ? [] : ['--no-dns']), ...words], secrets };
}

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** What a daemon that failed says last: `weave: what happened`, then the hint. */
function lastError(file: string): string {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines.findLast((line) => line.startsWith('weave: '))?.slice('weave: '.length) ?? lines.at(-1) ?? '';
}
