import { type Check, FACES } from '@weave/sdk/client';
import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { examples } from '../options.ts';
import { print, withProgress } from '../output.ts';

const DIFFERENT = FACES.unconverged.exit;

export const checkCommand = (): Command =>
  daemonClient('check')
    .description('prove that kernel, records and engine agree, or list what does not and why')
    .option('--fix', 'make them agree')
    .addHelpText('after', `\nExits with 0 when all agree (or does after --fix), and with ${DIFFERENT} when not.\n`)
    .addHelpText('after', examples('weave check', 'weave check --fix'))
    .action(async ({ fix = false, ...options }: CommonOptions & { fix?: boolean }) => {
      const result = await withProgress('comparing', () => withDaemon(options, (weave) => weave.check({ fix })));
      print(result, options.json, render);
      if (result.differences.some(({ fixed }) => !fixed)) process.exitCode = DIFFERENT;
    });

function render({ compared, differences }: Check): string {
  const others = compared.length > 1 ? `${compared.slice(0, -1).join(', ')} and ${compared.at(-1)}` : compared.join();
  if (differences.length === 0) return `The records agree with ${others}.`;
  const lines = differences.map(
    ({ where, what, fixed }) => `${where}: ${what}${fixed === undefined ? '' : fixed ? ' (mended)' : ' (still so)'}`,
  );
  return lines.join('\n');
}
