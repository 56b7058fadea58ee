import { Command } from 'commander';
import { examples } from '../options.ts';
import { print } from '../output.ts';

export const setupCommand = (): Command =>
  new Command('setup')
    .description('make the image that launch starts, of the files of this command, and load it into the engine')
    .option('--json', 'print JSON, for programs')
    .addHelpText('after', examples('weave setup', 'DOCKER_HOST=tcp://host:2376 weave setup'))
    .action(async (options: { json?: boolean }) => {
      const { setUp } = await import('../remote/remote.ts');
      const image = await setUp();
      print({ image }, options.json, () => image);
    });
