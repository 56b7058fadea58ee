import { type Endpoint, type Weave, WeaveError } from '@weave/sdk/client';
import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { docker } from '../docker-command.ts';
import { examples, networkOption } from '../options.ts';
import { print } from '../output.ts';
import { parseWords } from './attach.ts';

interface StartOptions extends CommonOptions {
  network?: string;
  withoutDns?: boolean;
}

export const startCommand = (): Command =>
  daemonClient('start')
    .description('docker start, and attach: by default as the container was attached before')
    .usage('[options] [addr...] <container>')
    .argument('<words...>')
    .addOption(networkOption('on this network instead of the default one'))
    .option('--without-dns', 'do not register its name')
    .addHelpText('after', examples('weave start web', 'weave start 10.2.1.1/24 web'))
    .action(async (words: string[], { network, withoutDns, ...options }: StartOptions) => {
      const { target, addresses } = parseWords(words);
      await withDaemon(options, async (weave) => {
        const container = nameOf(target);
        const before = await attachmentsOf(weave, container);
        await inDocker('start', container, options);
        if (addresses.length > 0 || before.length === 0) await weave.attach(target, addresses, { network, withoutDns });
        await attachAgain(weave, container, before, options);
      });
    });

export const restartCommand = (): Command =>
  daemonClient('restart')
    .description('docker restart, and attach as the container was attached before')
    .argument('<container>')
    .addHelpText('after', examples('weave restart web'))
    .action(async (container: string, options: CommonOptions) => {
      await withDaemon(options, async (weave) => {
        const before = await attachmentsOf(weave, container);
        await inDocker('restart', container, options);
        await attachAgain(weave, container, before, options);
      });
    });

function nameOf(target: ReturnType<typeof parseWords>['target']): string {
  if ('container' in target) return target.container;
  throw new WeaveError('WEAVE_INVALID_REQUEST', 'only a container can be started');
}

/** Docker says which it was, or what is wrong. */
async function inDocker(verb: 'start' | 'restart', container: string, { json }: CommonOptions): Promise<void> {
  const { code } = await (await docker([verb, container], { captured: Boolean(json) })).ended;
  if (code !== 0) throw new WeaveError('WEAVE_NOT_RUNNING', `docker ${verb} failed`, { hint: 'See what docker says.' });
}

const attachmentsOf = async (weave: Weave, container: string): Promise<Endpoint[]> =>
  (await weave.endpoints.list()).filter(
    ({ owner, container: of }) =>
      owner === 'weave' && of && (of.name === container || (container.length >= 4 && of.id.startsWith(container))),
  );

/** The daemon does that too: this returns when it is done. */
async function attachAgain(weave: Weave, container: string, before: readonly Endpoint[], options: CommonOptions) {
  for (const { network, addresses } of before) await weave.attach({ container }, addresses, { network });
  print(await attachmentsOf(weave, container), options.json, () => '');
}
