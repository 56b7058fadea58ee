import { type Status, VERSION } from '@weave/sdk/client';
import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { examples } from '../options.ts';
import { print } from '../output.ts';

export const statusCommand = (): Command =>
  daemonClient('status')
    .description('what the daemon of this host is and has')
    .addHelpText('after', examples('weave status', 'weave status --json'))
    .action(async (options: CommonOptions) => {
      print(await withDaemon(options, (weave) => weave.status()), options.json, render);
    });

function render({ version, pid, peer, networks, endpoints, started, notices }: Status): string {
  const rows = [
    ['Version', version],
    ['Name', `${peer.id}(${peer.name})`],
    ['Pid', pid],
    ['Started', new Date(started).toISOString()],
    ['Networks', networks],
    ['Endpoints', endpoints],
    ...notices.map((notice) => ['Notice', notice]),
  ];
  return `\n${rows.map(([label, value]) => `${label}: ${value}`.padStart(16 + String(value).length)).join('\n')}\n`;
}

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
