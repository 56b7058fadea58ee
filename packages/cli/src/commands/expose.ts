import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { examples, networkOption } from '../options.ts';
import { print } from '../output.ts';
import { echoed, withoutPrefix } from './attach.ts';

interface Options extends CommonOptions {
  network?: string;
}

interface ExposeOptions extends Options {
  hostname?: string;
  withoutMasquerade?: boolean;
}

const HELP = `
Addresses:
  10.2.1.100/24, fd00:2::1/64   exactly this one (also ip:10.2.1.100/24)
  net:10.32.5.0/24              the next free one of this subnet
  net:default, or none          the next free one of each family of the network
`;
const HIDE_HELP = `
Addresses:
  10.2.1.100/24, fd00:2::1/64   this one (also ip:10.2.1.100/24)
  net:10.32.5.0/24              all that this host has of this subnet
  net:default                   all that it has of the network
`;

export const exposeCommand = (): Command =>
  command(
    'expose',
    'put this host itself on a network: it reaches the containers there, and they it',
    'on this network, over an interface of its own',
  )
    .option('-h, --hostname <name>', 'give the addresses this name: one label, or a name in the domain')
    .option('--without-masquerade', 'let others see the containers’ own addresses, and containers those of others')
    .addHelpText('after', HELP)
    .addHelpText(
      'after',
      examples('weave expose', 'weave expose 10.2.1.100/24 -h host1', 'weave expose --network blue'),
    )
    .action(async (addresses: string[], { network, hostname: name, withoutMasquerade, ...options }: ExposeOptions) => {
      const masquerade = !withoutMasquerade;
      const exposed = await withDaemon(options, (weave) => weave.expose(addresses, { network, masquerade, name }));
      print(exposed, options.json, ({ addresses: got }) => withoutPrefix(got));
    });

export const hideCommand = (): Command =>
  command('hide', 'take addresses of this host’s away, by default all', 'from this network')
    .addHelpText('after', HIDE_HELP)
    .addHelpText('after', examples('weave hide', 'weave hide 10.2.1.100/24'))
    .action(async (addresses: string[], { network, ...options }: Options) => {
      const removed = await withDaemon(options, (weave) => weave.hide(addresses, { network }));
      print({ addresses: removed }, options.json, () => withoutPrefix(echoed(addresses, removed)));
    });

const command = (name: string, description: string, where: string) =>
  daemonClient(name)
    .description(description)
    .argument('[addr...]')
    .helpOption('--help', 'display help for command')
    .addOption(networkOption(`${where}, instead of the default one`));
