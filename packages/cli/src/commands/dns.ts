import { isIP } from 'node:net';
import { type NameTarget, type Weave, WeaveError } from '@weave/sdk/client';
import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { isNetwork, optionsOf } from '../docker-words.ts';
import { examples } from '../options.ts';
import { print } from '../output.ts';

interface Options extends CommonOptions {
  hostname?: string;
}

/** Where `-h` is a name, as Weave has it, help has no short form. */
const withName = (name: string, description: string) =>
  daemonClient(name)
    .description(description)
    .usage('[options] [ip...] [container] [-h <name>]')
    .argument('<words...>')
    .helpOption('--help', 'display help for command')
    .option('-h, --hostname <name>', 'one label, or a name in the domain');

export const dnsAddCommand = (): Command =>
  withName('dns-add', 'give addresses a name: those of a container, or any')
    .addHelpText('after', examples('weave dns-add web -h www', 'weave dns-add 10.2.1.27 -h db.weave.local'))
    .action(async (words: string[], { hostname, ...options }: Options) => {
      const target = targetOf(words, hostname);
      if (!target.container && !hostname)
        throw new WeaveError('WEAVE_INVALID_REQUEST', 'neither a container nor a name is given', {
          hint: 'Name the addresses with -h.',
        });
      await withDaemon(options, (weave) => weave.names.add(target));
      print({ added: target }, options.json, () => '');
    });

export const dnsRemoveCommand = (): Command =>
  withName('dns-remove', 'take names of addresses away, by default all of them')
    .addHelpText('after', examples('weave dns-remove web -h www', 'weave dns-remove 10.2.1.27'))
    .action(async (words: string[], { hostname, ...options }: Options) => {
      const target = targetOf(words, hostname);
      await withDaemon(options, (weave) => weave.names.remove(target));
      print({ removed: target }, options.json, () => '');
    });

function targetOf(words: readonly string[], name: string | undefined): NameTarget {
  const addresses = words.filter((word) => isIP(word));
  const [container, ...more] = words.filter((word) => !isIP(word));
  if (more.length > 0)
    throw new WeaveError('WEAVE_INVALID_REQUEST', `${more[0]} is one container too many`, {
      hint: 'Name one container, after its addresses; a name is given with -h.',
    });
  return {
    ...(addresses.length > 0 ? { addresses } : {}),
    ...(container === undefined ? {} : { container }),
    ...(name === undefined ? {} : { name }),
  };
}

export const dnsLookupCommand = (): Command =>
  daemonClient('dns-lookup')
    .description('the addresses of a name, one a line; none where there is no such name')
    .argument('<name>', 'one label, or a name in the domain')
    .addHelpText('after', examples('weave dns-lookup web'))
    .action(async (name: string, options: CommonOptions) => {
      print(await withDaemon(options, (weave) => weave.names.lookup(name)), options.json, (all) => all.join('\n'));
    });

export const dnsArgsCommand = (): Command =>
  daemonClient('dns-args')
    .description('what docker run is to be told so that a container asks weaveDNS: docker run $(weave dns-args) …')
    .usage('[options] [argument of docker run...]')
    .argument(
      '[words...]',
      'with --name and no --hostname a hostname is printed too; of --net it is seen which address is reached',
    )
    .helpOption('--help', 'display help for command')
    .allowUnknownOption()
    .addHelpText('after', examples('docker run $(weave dns-args) busybox nslookup web'))
    .action(async (words: string[], options: CommonOptions) => {
      const args = await withDaemon(options, (weave) => dnsArgs(weave, words));
      if (options.json) return print(args, true, () => '');
      process.stdout.write(args.join(' '));
    });

/** What tells a container of weaveDNS: of Docker's `words`, and on a network of Weave that they do not name. */
export async function dnsArgs(weave: Weave, words: readonly string[], network?: string): Promise<string[]> {
  const { dns } = await weave.status();
  if (!dns) return [];
  const named = optionsOf(words).flatMap(({ name, value }) => (isNetwork(name) && value ? value : []));
  const on = (await weave.networks.list()).filter(({ name }) => [...named, network].includes(name));
  const families = on.flatMap(({ subnets }) => subnets.map(({ cidr }) => isIP(cidr.split('/')[0]!)));
  const family = families.includes(6) && !families.includes(4) ? 6 : 4;
  const address = dns.addresses.find((address) => isIP(address) === family)!;
  return argsFor(words, `${dns.domain}.`, address);
}

/** Docker refuses longer ones. */
const LONGEST_HOSTNAME = 64;

/**
 * What is to be added to the words of a `docker run`. A container that has a name of its own in the domain finds its
 * neighbours by the domain of that. What the words say themselves stays so.
 */
export function argsFor(words: readonly string[], domain: string, address: string): string[] {
  const options = optionsOf(words);
  const said = (...names: string[]) => options.findLast(({ name }) => names.includes(name));
  if (options.findLast(({ name }) => isNetwork(name))?.value?.startsWith('container:')) return [];
  const name = said('--name')?.value;
  const hostname = name && !said('-h', '--hostname') ? `${name}.${domain.slice(0, -1)}` : undefined;
  const tell = hostname !== undefined && hostname.length <= LONGEST_HOSTNAME;
  const search = tell || said('-h', '--hostname') ? '.' : domain;
  return [
    ...(said('--dns') ? [] : [`--dns=${address}`]),
    ...(tell ? [`--hostname=${hostname}`] : []),
    ...(said('--dns-search') ? [] : [`--dns-search=${search}`]),
  ];
}
