import { WeaveError } from '@weave/sdk/client';
import { Command } from 'commander';
import { examples } from '../options.ts';
import { failWith, print } from '../output.ts';

/** What 2.8 does where no proxy runs. */
export const envCommand = (): Command =>
  new Command('env')
    .description('what makes docker use the proxy: nothing, as there is none')
    .option('--restore', 'what undoes that')
    .option('--json', 'print JSON, for programs')
    .addHelpText('after', examples('eval $(weave env)', 'eval $(weave env --restore)'))
    .action(({ restore = false, json }: { restore?: boolean; json?: boolean }) => {
      if (!restore) return print({}, json, () => '');
      const original = process.env.ORIG_DOCKER_HOST;
      if (original !== undefined) return print({ DOCKER_HOST: original }, json, () => `DOCKER_HOST=${original}`);
      const why = 'Nothing to restore: weave env has not changed DOCKER_HOST here';
      if (json) failWith(new WeaveError('WEAVE_INVALID_REQUEST', why), json);
      else process.stderr.write(`${why}.\n`);
      process.exitCode = 1;
    });

export const configCommand = (): Command =>
  new Command('config')
    .description('the options that make docker use the proxy: none, as there is none')
    .option('--json', 'print JSON, for programs')
    .addHelpText('after', examples('docker $(weave config) ps'))
    .action(({ json }: { json?: boolean }) => {
      if (json) print({}, json, String);
      process.exitCode = 1;
    });

/** What is done in their place; Weave 2.0 removed them. */
const REMOVED = {
  'launch-router': 'weave launch',
  'launch-proxy': 'weave launch',
  'launch-plugin': 'weave launch',
  'launch-dns': 'weave launch',
  'stop-router': 'weave stop',
  'stop-proxy': 'weave stop',
  'stop-plugin': 'weave stop',
  'stop-dns': 'weave stop',
  'create-bridge': 'weave launch',
  'proxy-env': 'weave env',
  'proxy-config': 'weave config',
};

export const REMOVED_COMMANDS = Object.fromEntries(
  Object.entries(REMOVED).map(([name, instead]) => [name, () => removedCommand(name, instead)]),
);

const removedCommand = (name: string, instead: string): Command =>
  new Command(name)
    .description(`removed: use ${instead}`)
    .argument('[words...]')
    .allowUnknownOption()
    .addHelpText('after', examples(instead))
    .action(() => {
      process.stderr.write(`The command weave ${name} has been removed as of Weave Net version 2.0: use ${instead}.\n`);
      process.exitCode = 1;
    });
