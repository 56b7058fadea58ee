import type { Endpoint } from '@weave/sdk/client';
import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { examples, networkOption } from '../options.ts';
import { print } from '../output.ts';

interface Options extends CommonOptions {
  network?: string;
}

export const psCommand = (): Command =>
  daemonClient('ps')
    .description('list what is attached: container, MAC, addresses')
    .argument('[container...]', 'only these, by name or id')
    .addOption(networkOption('only this network'))
    .addHelpText('after', examples('weave ps', 'weave ps --network blue', 'weave ps web'))
    .action(async (containers: string[], options: Options) => {
      const endpoints = await withDaemon(options, (weave) =>
        weave.endpoints.list(options.network ? { network: options.network } : {}),
      );
      const shown = endpoints
        .filter((e) => containers.length === 0 || containers.some((c) => isNamed(e, c)))
        .sort(byName);
      print(shown, options.json, (list) => list.map(line).join('\n'));
    });

const nameOf = ({ container, sandbox, id }: Endpoint): string =>
  container?.id.slice(0, 12) ?? (sandbox?.kind === 'netns' ? sandbox.path : id.slice(0, 12));

const isNamed = ({ container }: Endpoint, word: string) =>
  container !== undefined && (container.name === word || (word.length >= 4 && container.id.startsWith(word)));

/** By code units: collation would load ICU's tables first, which takes as long as asking the daemon. */
const byName = (a: Endpoint, b: Endpoint) => order(nameOf(a), nameOf(b)) || order(a.id, b.id);

const order = (a: string, b: string) => (a < b ? -1 : Number(a > b));

/** As Weave prints it: scripts cut it at its spaces. */
const line = (e: Endpoint): string => [nameOf(e), e.mac, ...e.addresses].join(' ');
