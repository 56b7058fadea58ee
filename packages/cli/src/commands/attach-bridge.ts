import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { examples, networkOption } from '../options.ts';
import { print } from '../output.ts';

interface Options extends CommonOptions {
  network?: string;
  remove?: boolean;
}

export const attachBridgeCommand = (): Command =>
  daemonClient('attach-bridge')
    .description('join a bridge of this host, with all that is on it, to a network')
    .argument('[bridge]', 'its name', 'docker0')
    .addOption(networkOption('to this network instead of the default one'))
    .option('--remove', 'part them again')
    .addHelpText('after', examples('weave attach-bridge', 'weave attach-bridge --network blue br0'))
    .action(async (bridge: string, { network, remove = false, ...options }: Options) => {
      await withDaemon(options, ({ bridges }) =>
        remove ? bridges.detach(bridge, { network }) : bridges.attach(bridge, { network }),
      );
      print({ bridge, joined: !remove }, options.json, () => '');
    });
