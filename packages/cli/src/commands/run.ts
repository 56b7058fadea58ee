import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Attachment,
  DEFAULT_NETWORK,
  isWeaveError,
  parseAddressRequest,
  WAIT,
  WAITS_AT,
  type Weave,
  WeaveError,
} from '@weave/sdk/client';
import { type Command, Option } from 'commander';
import { type CommonOptions, daemonClient, reach } from '../client.ts';
import { docker, type Running } from '../docker-command.ts';
import { type DockerRun, parseDockerRun } from '../docker-words.ts';
import { examples, networkOption, stateDirOption } from '../options.ts';
import { print } from '../output.ts';
import { isAddress } from './attach.ts';
import { dnsArgs } from './dns.ts';

interface RunOptions extends CommonOptions {
  stateDir: string;
  network?: string;
  rewriteHosts: boolean;
  multicastRoute: boolean;
  withoutDns?: boolean;
}

const HELP = `
Everything from the first word on that is neither an address nor one of these options is for docker run.

The container is connected before its process starts: until then the process is held back by a program of Weave's,
which the engine starts in the place of its own init (--init). Its interface is ethwe, beside those that Docker gives.
`;

export const runCommand = (): Command =>
  daemonClient('run')
    .description('docker run, on a network: the interface is there before the process starts')
    .usage('[addr...] [options] <docker run arguments>')
    .argument('<words...>')
    .passThroughOptions()
    .allowUnknownOption()
    .helpOption('--help', 'display help for command')
    .addOption(stateDirOption())
    .addOption(networkOption('on this network instead of the default one'))
    .addOption(new Option('--no-rewrite-hosts', 'leave its /etc/hosts as it is, as of one that is --read-only'))
    .option('--no-multicast-route', 'no route for 224.0.0.0/4 over its interface')
    .option('--without-dns', 'do not register its name, and do not have it ask weaveDNS')
    .addHelpText('after', HELP)
    .addHelpText(
      'after',
      examples(
        'weave run -ti --rm busybox sh',
        'weave run 10.2.1.1/24 -d --name web nginx',
        'weave run net:10.32.5.0/24 10.2.1.2/24 --without-dns -p 8080:80 nginx',
      ),
    )
    .action(async (words: string[], _options: RunOptions, command: Command) => {
      const { addresses, rest } = leadingAddresses(words, command);
      for (const each of addresses) parseAddressRequest(each);
      const asked = parseDockerRun(rest);
      const options = command.opts<RunOptions>();
      await using weave = await reach(options.runDir);
      await run(weave, addresses, asked, options);
    });

/** Addresses, and options of ours, in any order up to what is docker's. */
function leadingAddresses(words: readonly string[], command: Command): { addresses: string[]; rest: string[] } {
  const addresses: string[] = [];
  const isOurs = (word: string) => command.options.some(({ long }) => long === word.split('=')[0]);
  let rest = [...words];
  while (rest[0] !== undefined && (isAddress(rest[0]) || isOurs(rest[0])))
    if (isAddress(rest[0])) addresses.push(rest.shift()!);
    else {
      const { operands, unknown } = command.parseOptions(rest);
      rest = [...operands, ...unknown];
    }
  return { addresses, rest };
}

async function run(weave: Weave, addresses: string[], asked: DockerRun, options: RunOptions): Promise<void> {
  const { network, json } = options;
  await weave.networks.inspect(network ?? DEFAULT_NETWORK);
  // Docker refuses a nameserver for what shares another container's namespace.
  const named =
    options.withoutDns || asked.isShared ? [] : await dnsArgs(weave, asked.options, network ?? DEFAULT_NETWORK);
  const directory = mkdtempSync(join(tmpdir(), 'weave-run-'));
  try {
    const cidfile = asked.cidfile ?? join(directory, 'id');
    // A script that got the id has a container.
    const captured = asked.detached;
    const running = await docker(['run', '--cidfile', cidfile, ...held(options, asked), ...named, ...asked.words], {
      captured,
    });
    const attached = await attachOrRemove(running, cidfile, (container) =>
      weave.attach({ container }, addresses, {
        network,
        rewriteHosts: options.rewriteHosts && !asked.isReadOnly,
        withoutDns: options.withoutDns,
        multicast: options.multicastRoute ? undefined : false,
      }),
    );
    const { code, stdout } = await running.ended;
    process.exitCode = code;
    if (!captured || code !== 0) return;
    if (!attached) throw new WeaveError('WEAVE_NOT_RUNNING', 'the container ended before it was attached');
    print(attached, json, () => stdout.trimEnd());
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The engine's own init is replaced by what waits for the interface. */
const held = ({ stateDir }: RunOptions, { init }: DockerRun): string[] => [
  ...['--init', '--mount', `type=bind,source=${join(stateDir, WAIT)},target=${WAITS_AT},readonly`],
  ...(init ? ['--env', 'WEAVE_INIT=1'] : []),
];

type Connected = Attachment & { container: string };

/** Undefined where the container ended before it could be attached: docker has said why. */
async function attachOrRemove(
  running: Running,
  cidfile: string,
  attach: (container: string) => Promise<Attachment>,
): Promise<Connected | undefined> {
  const container = await idIn(cidfile, running);
  if (container === undefined) return undefined;
  for (;;) {
    const wasOver = running.hasEnded();
    try {
      return { container, ...(await attach(container)) };
    } catch (error) {
      const isStarting = isWeaveError(error) && NOT_YET.includes(error.code);
      if (isStarting && wasOver) return undefined;
      if (isStarting) await delay(POLL_MS);
      else {
        await (await docker(['rm', '--force', '--volumes', container], { captured: true })).ended;
        await running.ended;
        throw error;
      }
    }
  }
}

const POLL_MS = 20;
/** Or not any more: what docker cannot start it may take away again. */
const NOT_YET: readonly string[] = ['WEAVE_NOT_RUNNING', 'WEAVE_CONTAINER_NOT_FOUND'];

/** Undefined where docker ended without having made a container. */
async function idIn(cidfile: string, running: Running): Promise<string | undefined> {
  for (;;) {
    const wasOver = running.hasEnded();
    const id = existsSync(cidfile) ? readFileSync(cidfile, 'utf8') : '';
    if (/^[0-9a-f]{64}$/.test(id)) return id;
    if (wasOver) return undefined;
    await delay(POLL_MS);
  }
}
