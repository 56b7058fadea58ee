import { BlockList, isIP } from 'node:net';
import { NETWORK_OPTIONS, type Network, type NetworkDetails, type Weave, WeaveError } from '@weave/sdk/client';
import { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { collect, examples } from '../options.ts';
import { print, table } from '../output.ts';

interface CreateOptions extends CommonOptions {
  subnet?: string[];
  gateway?: string[];
  ipRange?: string[];
  opt?: string[];
  internal?: boolean;
}

const KNOWN = Object.entries(NETWORK_OPTIONS)
  .map(([name, { values }]) => `  ${name}=<${values}>`)
  .join('\n');

export const networkCommand = (): Command =>
  new Command('network')
    .description('make, list, show, grow and remove networks')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(inspectCommand())
    .addCommand(growCommand())
    .addCommand(removeCommand())
    .addHelpText('after', examples('weave network create blue', 'weave network ls', 'weave network rm blue'));

const createCommand = () =>
  daemonClient('create')
    .description('make a network; without --subnet, Weave chooses one of each family')
    .argument('<name>')
    .option('--subnet <cidr>', 'a subnet; may be given several times', collect)
    .option('--gateway <ip>', 'the gateway of the subnet that it is in', collect)
    .option('--ip-range <cidr>', 'the part of a subnet to hand out', collect)
    .option('-o, --opt <name=value>', 'an option of the network', collect)
    .option('--internal', 'no way out')
    .addHelpText('after', `\nOptions of a network:\n${KNOWN}`)
    .addHelpText(
      'after',
      examples('weave network create blue', 'weave network create --subnet 10.2.0.0/16 --subnet fd00:2::/64 red'),
    )
    .action(async (name: string, options: CreateOptions) => {
      const network = await withDaemon(options, (weave) =>
        weave.networks.create({
          name,
          subnets: subnetsOf(options),
          options: Object.fromEntries((options.opt ?? []).map(pair)),
          internal: options.internal ?? false,
        }),
      );
      print(network, options.json, ({ id }) => id);
    });

function pair(text: string): [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** Gateways and ranges belong to the subnet that they are in. Undefined when none of all that is given. */
function subnetsOf({ subnet = [], gateway = [], ipRange = [] }: CreateOptions) {
  const gateways = bySubnet(subnet, gateway);
  const ranges = bySubnet(subnet, ipRange);
  return subnet.length > 0
    ? subnet.map((cidr) => ({ cidr, gateway: gateways.get(cidr), range: ranges.get(cidr) }))
    : undefined;
}

function bySubnet(subnets: string[], given: string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const text of given) {
    const home = subnets.find((cidr) => isInside(text, cidr));
    if (!home) throw new WeaveError('WEAVE_INVALID_REQUEST', `${text} is in none of the subnets`);
    if (found.has(home))
      throw new WeaveError('WEAVE_INVALID_REQUEST', `${text} and ${found.get(home)} are both of ${home}`);
    found.set(home, text);
  }
  return found;
}

/** Of an address, or of where a range begins. What is no subnet has nothing inside. */
function isInside(text: string, cidr: string): boolean {
  const [address = ''] = text.split('/');
  const [network = '', length] = cidr.split('/');
  const family = isIP(network);
  if (family === 0 || isIP(address) !== family || !/^\d{1,3}$/.test(length ?? '')) return false;
  if (Number(length) > (family === 4 ? 32 : 128)) return false;
  const block = new BlockList();
  block.addSubnet(network, Number(length), family === 4 ? 'ipv4' : 'ipv6');
  return block.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

const listCommand = () =>
  daemonClient('ls')
    .description('list the networks')
    .addHelpText('after', examples('weave network ls', 'weave network ls --json'))
    .action(async (options: CommonOptions) => {
      const networks = await withDaemon(options, (weave) => weave.networks.list());
      print(networks, options.json, (list) => table([['NETWORK ID', 'NAME', 'OWNER', 'SUBNETS'], ...list.map(row)]));
    });

const row = ({ id, name, owner, subnets }: Network) => [
  id.slice(0, 12),
  name,
  owner,
  subnets.map((s) => s.cidr).join(' '),
];

const inspectCommand = () =>
  daemonClient('inspect')
    .description('show a network with what is attached to it')
    .argument('<network>', 'name or id')
    .addHelpText('after', examples('weave network inspect blue'))
    .action(async (network: string, options: CommonOptions) => {
      print(await withDaemon(options, (weave) => weave.networks.inspect(network)), options.json, render);
    });

function render({ endpoints, subnets, ...network }: NetworkDetails): string {
  return table([
    ...Object.entries(network).map(([name, value]) => [`${name}:`, String(value)]),
    ...subnets.map((s) => ['subnet:', [s.cidr, s.gateway ? `gateway ${s.gateway}` : ''].join(' ').trim()]),
    ...endpoints.map((e) => ['endpoint:', [e.container?.name ?? e.id.slice(0, 12), e.mac, ...e.addresses].join(' ')]),
  ]);
}

const growCommand = () =>
  daemonClient('grow')
    .description('make a subnet of a network larger, while it is in use')
    .argument('<network>', 'name or id')
    .argument('<subnet>', 'what the subnet is to be, and what it is now lies in')
    .addHelpText(
      'after',
      '\nThe gateway stays, and so does the part that --ip-range named. What docker network inspect shows stays too.',
    )
    .addHelpText('after', examples('weave network grow blue 10.9.0.0/23', 'weave network grow --json blue 10.9.0.0/16'))
    .action(async (network: string, subnet: string, options: CommonOptions) => {
      const grown = await withDaemon(options, (weave) => weave.networks.grow(network, subnet));
      print(grown, options.json, ({ subnets }) => subnets.map((s) => s.cidr).join(' '));
    });

const removeCommand = () =>
  daemonClient('rm')
    .description('remove networks that nothing is attached to')
    .argument('<network...>', 'names or ids')
    .addHelpText('after', examples('weave network rm blue', 'weave network rm red green'))
    .action((networks: string[], options: CommonOptions) =>
      withDaemon(options, (weave) => remove(weave, networks, options)),
    );

/** A name that is wrong removes nothing; what was removed before another error is said. */
async function remove(weave: Weave, networks: readonly string[], { json }: CommonOptions): Promise<void> {
  const found = new Map<string, string>();
  for (const network of networks) found.set((await weave.networks.inspect(network)).id, network);
  const removed: string[] = [];
  try {
    for (const [id, network] of found) {
      await weave.networks.remove(id);
      removed.push(network);
    }
  } finally {
    if (removed.length > 0) print({ removed }, json, () => removed.join('\n'));
  }
}
