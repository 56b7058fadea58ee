import { AsyncLocalStorage } from 'node:async_hooks';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type MemoryDatapath, type MemoryFirewall, memoryDatapath, memoryFirewall } from '@weave/core/testing';
import { type EngineContainer, open, SOCKET, serve, type Weave, WeaveError } from '@weave/sdk';
import { type Command, CommanderError } from 'commander';
import { failWith } from '../src/output.ts';
import { buildProgram } from '../src/program.ts';

export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

/** A daemon in memory, on a socket of its own: what the commands of a test talk to. */
export interface Rig extends AsyncDisposable {
  readonly runDir: string;
  /** The daemon's own, past its socket. */
  readonly weave: Weave;
  readonly datapath: MemoryDatapath;
  readonly firewall: MemoryFirewall;
  readonly containers: Map<string, EngineContainer>;
  /** The process that the daemon says it is; `stop` ends it. */
  readonly pretended: ChildProcess;
  /** Puts a container there that can be attached. */
  addContainer(n: number): EngineContainer;
  /** The command in this process. */
  run(...args: string[]): Promise<Result>;
  /** The command as a process. */
  spawn(...args: string[]): Promise<Result>;
  /** Everything there is: equal before and after what changed nothing. */
  state(): Promise<string>;
}

/** Long enough for a start on a machine that is busy. */
const PATIENCE_MS = 30_000;

export async function createRig({ domain }: { domain?: string } = {}): Promise<Rig> {
  const runDir = mkdtempSync(join(tmpdir(), 'weave-cli-'));
  // Whatever a test forgets to say: no command of it may reach a daemon of this machine.
  const env = { WEAVE_RUN_DIR: runDir, WEAVE_STATE_DIR: join(runDir, 'state'), WEAVE_CONTAINER_NAME: basename(runDir) };
  Object.assign(process.env, env);
  const datapath = memoryDatapath();
  const firewall = memoryFirewall();
  const containers = new Map<string, EngineContainer>();
  const opened = await open({
    stateDir: join(runDir, 'daemon'),
    datapath,
    firewall,
    switchFilter: memoryFirewall(),
    clock: () => 1_700_000_000_000,
    domain,
    engine: {
      async container(name) {
        const found = containers.get(name);
        if (!found) throw new WeaveError('WEAVE_CONTAINER_NOT_FOUND', `there is no container ${name}`);
        return found;
      },
    },
  });
  // It ends with its input, and so with this process, whatever becomes of that.
  const pretended = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
  const weave: Weave = { ...opened, status: async () => ({ ...(await opened.status()), pid: pretended.pid! }) };
  const api = await serve(weave, join(runDir, SOCKET));
  return {
    runDir,
    weave,
    datapath,
    firewall,
    containers,
    pretended,
    addContainer(n) {
      const container = { id: n.toString(16).padStart(4, '0').padEnd(64, 'c'), name: `c${n}`, pid: 50_000_000 + n };
      datapath.addNamespace(`/proc/${container.pid}/ns/net`);
      for (const name of [container.name, container.id]) containers.set(name, container);
      return container;
    },
    run: (...args) => runHere(args),
    spawn: (...args) => runProcess('weave', args),
    async state() {
      const networks = await weave.networks.list();
      const details = await Promise.all(networks.map(({ id }) => weave.networks.inspect(id)));
      return JSON.stringify([details, await weave.names.list()]) + datapath.listing();
    },
    async [Symbol.asyncDispose]() {
      pretended.kill('SIGKILL');
      await api[Symbol.asyncDispose]();
      await weave.close();
      rmSync(runDir, { recursive: true, force: true });
    },
  };
}

/** What is written while a command runs here is that command's; all else goes where it did. */
const capture = new AsyncLocalStorage<Result>();
for (const name of ['stdout', 'stderr'] as const) {
  const write = process[name].write.bind(process[name]) as (...args: unknown[]) => boolean;
  process[name].write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    const result = capture.getStore();
    if (!result) return write(chunk, ...rest);
    result[name] += chunk;
    return true;
  };
}

/** As weave.ts does it, but that a mistake throws where commander would exit. */
export async function runHere(args: string[]): Promise<Result> {
  const result: Result = { code: 0, stdout: '', stderr: '' };
  const before = process.exitCode;
  process.exitCode = undefined;
  try {
    await capture.run(result, async () => {
      try {
        await throwing(buildProgram(args[0])).parseAsync(args, { from: 'user' });
      } catch (error) {
        if (error instanceof CommanderError) process.exitCode = error.exitCode;
        else failWith(error, args.includes('--json'));
      }
    });
    result.code = Number(process.exitCode ?? 0);
  } finally {
    process.exitCode = before;
  }
  return result;
}

function throwing(command: Command): Command {
  command.exitOverride();
  for (const each of command.commands) throwing(each);
  return command;
}

/** One of the two commands from its source, as a process. */
export function runProcess(name: 'weave' | 'weave-docker-plugin', args: string[]): Promise<Result> {
  const source = join(import.meta.dirname, `../src/${name}.ts`);
  const argv = ['--conditions=@weave/source', source, ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, argv, { timeout: PATIENCE_MS }, (error, stdout, stderr) => {
      const code = error ? (typeof error.code === 'number' ? error.code : -1) : 0;
      resolve({ code, stdout, stderr });
    });
  });
}

export const TRACE = /\n\s+at .*:\d+/;
