import { NETWORK_OPTIONS, type Network, type NetworkDetails, WeaveError } from '@weave/sdk/client';
import { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { print, table } from '../output.ts';

interface CreateOptions extends CommonOptions {
  subnet: string[];
  gateway: string[];
  ipRange: string[];
  opt: string[];
  internal?: boolean;
}

const collect = (value: string, others: string[]) => [...others, value];
const KNOWN = Object.entries(NETWORK_OPTIONS)
  .map(([name, { values }]) => `  ${name}=<${values}>`)
  .join('\n');

export const networkCommand = (): Command =>
  new Command('network')
    .description('make, list, show and remove networks')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(inspectCommand())
    .addCommand(removeCommand());

const createCommand = () =>
  daemonClient('create')
    .description('make a network; without --subnet, Weave chooses one of each family')
    .argument('<name>')
    .option('--subnet <cidr>', 'a subnet; may be given several times', collect, [])
    .option('--gateway <ip>', 'the gateway of the subnet that it is in', collect, [])
    .option('--ip-range <cidr>', 'the part of a subnet to hand out', collect, [])
    .option('-o, --opt <name=value>', 'an option of the network', collect, [])
    .option('--internal', 'no way out')
    .addHelpText(
      'after',
      `\nOptions of a network:\n${KNOWN}\n\nExamples:\n  weave network create blue\n  weave network create --subnet 10.2.0.0/16 --subnet fd00:2::/64 red`,
    )
    .action(async (name: string, options: CreateOptions) => {
      const network = await withDaemon(options, (weave) =>
        weave.networks.create({
          name,
          ...(options.subnet.length > 0 ? { subnets: subnetsOf(options) } : {}),
          options: Object.fromEntries(options.opt.map(pair)),
          internal: options.internal ?? false,
        }),
      );
      print(network, options.json, ({ id }) => id);
    });

function pair(text: string): [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** Gateways and ranges belong to the subnet that they are in; what is in none is said so by the daemon. */
function subnetsOf({ subnet, gateway, ipRange }: CreateOptions) {
  const family = (text: string) => text.includes(':');
  const pick = (from: string[], at: string) => from.find((text) => family(text) === family(at));
  for (const extra of [...gateway, ...ipRange])
    if (!subnet.some((s) => family(s) === family(extra)))
      throw new WeaveError('WEAVE_INVALID_REQUEST', `${extra} is in none of the subnets`);
  return subnet.map((cidr) => ({ cidr, gateway: pick(gateway, cidr), range: pick(ipRange, cidr) }));
}

const listCommand = () =>
  daemonClient('ls')
    .description('list the networks')
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

const removeCommand = () =>
  daemonClient('rm')
    .description('remove networks that nothing is attached to')
    .argument('<network...>', 'names or ids')
    .action(async (networks: string[], options: CommonOptions) => {
      for (const network of networks) await withDaemon(options, (weave) => weave.networks.remove(network));
      print({ removed: networks }, options.json, ({ removed }) => removed.join('\n'));
    });
