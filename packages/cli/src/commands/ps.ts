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
    .argument('[container...]', 'only these, by name or id, and called so')
    .addOption(networkOption('only this network'))
    .addHelpText('after', examples('weave ps', 'weave ps --network blue', 'weave ps web'))
    .action(async (containers: string[], options: Options) => {
      const endpoints = await withDaemon(options, (weave) =>
        weave.endpoints.list(options.network ? { network: options.network } : {}),
      );
      const shown = shownOf(endpoints.sort(byName), containers);
      const found = [...new Set(shown.map(([, endpoint]) => endpoint))];
      print(found, options.json, () => shown.map(line).join('\n'));
    });

const EXPOSED = 'weave:expose';
type Shown = [name: string, endpoint: Endpoint];

/** Those that were asked for, as 2.8 shows them: in that order, and by the words that they were asked for with. */
const shownOf = (endpoints: readonly Endpoint[], containers: readonly string[]): Shown[] =>
  containers.length === 0
    ? endpoints.map((endpoint) => [nameOf(endpoint), endpoint])
    : [...new Set(containers)].flatMap((word) =>
        endpoints.filter((e) => isNamed(e, word)).map((e): Shown => [word.slice(0, 12), e]),
      );

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
const line = ([name, { mac, addresses }]: Shown): string => [name, mac, ...addresses].join(' ');
