import { VERSION } from '@weave/sdk/client';
import { Argument, type Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { examples } from '../options.ts';
import { print } from '../output.ts';
import { STATUS_PARTS, type StatusPart } from '../report/parts.ts';
import { statusText } from '../report/text.ts';
import { viewOf } from '../report/view.ts';

export const statusCommand = (): Command =>
  daemonClient('status')
    .description('what the daemon of this host is and has')
    .addArgument(new Argument('[part]', 'only this, in full').choices(Object.keys(STATUS_PARTS)))
    .addHelpText('after', examples('weave status', 'weave status peers', 'weave status ipam --json'))
    .action(async (part: StatusPart | undefined, options: CommonOptions) => {
      const view = await withDaemon(options, viewOf);
      if (part === undefined) return print(view.status, options.json, () => statusText(view));
      const { of, text } = STATUS_PARTS[part];
      print(of(view), options.json, () => text(view));
    });

export const versionCommand = (): Command =>
  daemonClient('version')
    .description('the versions of this command and of the daemon')
    .addHelpText('after', examples('weave version'))
    .action(async (options: CommonOptions) => {
      const daemon = await withDaemon(options, (weave) => weave.status()).then(
        ({ version }) => version,
        () => undefined,
      );
      print({ script: VERSION, daemon }, options.json, () =>
        [`weave script ${VERSION}`, ...(daemon ? [`weave ${daemon}`] : [])].join('\n'),
      );
    });
