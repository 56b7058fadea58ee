import { isIP } from 'node:net';
import { DEFAULT_DOMAIN, RUN_DIR, STATE_DIR, subnet } from '@weave/sdk/client';
import { type Command, InvalidArgumentError, Option } from 'commander';

const LOG_LEVELS = ['debug', 'info', 'warning', 'error'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

export interface DaemonOptions {
  stateDir: string;
  runDir: string;
  pluginDir: string;
  nameserver?: string;
  logLevel: LogLevel;
  store?: string;
  storeCa?: string;
  storeCert?: string;
  storeKey?: string;
  storeUser?: string;
  underlay?: string[];
  password?: string;
  httpAddr: string;
  statusAddr: string;
  /** False: none. */
  dns: boolean;
  dnsDomain: string;
  dnsOrder: 'shuffled' | 'local-first';
  dnsTtl: number;
  ipallocRange?: string[];
  nickname?: string;
}

export const stateDirOption = () =>
  new Option('--state-dir <dir>', 'where this host’s records are kept').env('WEAVE_STATE_DIR').default(STATE_DIR);
export const runDirOption = () =>
  new Option('--run-dir <dir>', 'where the daemon listens').env('WEAVE_RUN_DIR').default(RUN_DIR);
export const logLevelOption = () =>
  new Option('--log-level <level>', 'how much to log').choices([...LOG_LEVELS]).default('info');
export const nameserverOption = () =>
  new Option('--nameserver <ip>', 'give containers a route to this address on their weave interface').argParser(ip);

export const networkOption = (description: string) =>
  new Option('--network <name>', description).argParser((text) => {
    // An empty word is a variable that was not set, not the default network.
    if (text === '') throw new InvalidArgumentError('It is empty.');
    return text;
  });

function ip(text: string): string {
  if (!isIP(text)) throw new InvalidArgumentError('It is not an IP address.');
  return text;
}

/** Of the default network. WEAVE_INVALID_SUBNET. */
function range(text: string, others: string[] = []): string[] {
  const { family } = subnet(text);
  if (others.some((other) => subnet(other).family === family))
    throw new InvalidArgumentError('There is another of its family.');
  return [...others, text];
}

function nickname(text: string): string {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/.test(text)) throw new InvalidArgumentError('It is no name of a host.');
  return text;
}

function seconds(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It is no number of seconds.');
  return Number(text);
}

/** A host has one of each family. */
function underlay(text: string, others: string[] = []): string[] {
  if (others.some((other) => isIP(other) === isIP(ip(text))))
    throw new InvalidArgumentError('There is another of its family.');
  return [...others, ip(text)];
}

/** Of an option that may be given several times. */
export const collect = (value: string, others: string[] = []): string[] => [...others, value];

/** What people copy, below the help of every command. */
export const examples = (...lines: string[]): string => `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`;

/** A mistake is answered with the usage of the command that it is in. */
export function usageAfterErrors(command: Command, path = command.name()): Command {
  command.showHelpAfterError(`Usage: ${path} ${command.usage()}\n(${path} --help says more)`);
  for (const each of command.commands) usageAfterErrors(each, `${path} ${each.name()}`);
  return command;
}

/** What `launch` passes on as it is. */
export const daemonOptions = (command: Command): Command =>
  command
    .addOption(stateDirOption())
    .addOption(runDirOption())
    .option('--plugin-dir <dir>', 'where the engine looks for plugins', '/run/docker/plugins')
    .addOption(nameserverOption())
    .addOption(logLevelOption())
    .addOption(
      new Option('--store <url>', 'share networks by this etcd: etcd://host1:2379,host2:2379').env('WEAVE_STORE'),
    )
    .option('--store-ca <file>', 'the certificate authority of its servers')
    .option('--store-cert <file>', 'the certificate to show them')
    .option('--store-key <file>', 'the key of that certificate')
    .addOption(new Option('--store-user <name:password>', 'whom to log in as').env('WEAVE_STORE_USER'))
    .addOption(
      new Option('--http-addr <address>', 'where Weave 2.8’s HTTP API is: ip:port, a path, or off')
        .env('WEAVE_HTTP_ADDR')
        .default('127.0.0.1:6784'),
    )
    .addOption(
      new Option('--status-addr <address>', 'where what it tells may be read, with metrics')
        .env('WEAVE_STATUS_ADDR')
        .default('127.0.0.1:6782'),
    )
    .option('--dns-domain <domain>', 'what the names of containers end in, the same on every host', DEFAULT_DOMAIN)
    .addOption(
      new Option('--dns-order <order>', 'of several addresses: at random, or those of this host first')
        .choices(['shuffled', 'local-first'])
        .default('shuffled'),
    )
    .addOption(new Option('--dns-ttl <seconds>', 'how long others may keep an answer').argParser(seconds).default(1))
    .option('--no-dns', 'containers have no names')
    .option(
      '--ipalloc-range <cidr>',
      'the default network’s subnet, once for each family, while nothing uses it',
      range,
    )
    .option('--nickname <name>', 'what other hosts call this one; by default its hostname', nickname)
    .option('--underlay <ip>', 'where other hosts reach this one, once for each family; found if not said', underlay)
    .addOption(
      new Option(
        '--password <word>',
        'who connects has to know it (better said by WEAVE_PASSWORD); traffic is not encrypted',
      ).env('WEAVE_PASSWORD'),
    );
