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

const EXPOSED = 'weave:expose';

function nameOf({ container, sandbox, id }: Endpoint): string {
  if (sandbox?.kind === 'host') return EXPOSED;
  if (sandbox?.kind === 'bridge') return `bridge:${sandbox.bridge}`;
  return container?.id.slice(0, 12) ?? (sandbox?.kind === 'netns' ? sandbox.path : id.slice(0, 12));
}

function isNamed(endpoint: Endpoint, word: string): boolean {
  const { container } = endpoint;
  if (!container) return nameOf(endpoint) === word;
  return container.name === word || (word.length >= 4 && container.id.startsWith(word));
}

/** The host itself first, then by code units: collation would load ICU's tables first, which takes as long as asking the daemon. */
const byName = (a: Endpoint, b: Endpoint) =>
  Number(nameOf(b) === EXPOSED) - Number(nameOf(a) === EXPOSED) || order(nameOf(a), nameOf(b)) || order(a.id, b.id);

const order = (a: string, b: string) => (a < b ? -1 : Number(a > b));

/** As Weave prints it: scripts cut it at its spaces. */
const line = (e: Endpoint): string => [nameOf(e), e.mac, ...e.addresses].join(' ');
