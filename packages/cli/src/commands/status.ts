import { type Status, VERSION } from '@weave/sdk/client';
import { Argument, type Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { examples } from '../options.ts';
import { print } from '../output.ts';
import { STATUS_PARTS } from './cluster.ts';

export const statusCommand = (): Command =>
  daemonClient('status')
    .description('what the daemon of this host is and has')
    .addArgument(new Argument('[part]', 'only this, in full').choices(Object.keys(STATUS_PARTS)))
    .addHelpText('after', examples('weave status', 'weave status peers', 'weave status ipam --json'))
    .action(async (part: string | undefined, options: CommonOptions) => {
      if (part !== undefined) return withDaemon(options, (weave) => STATUS_PARTS[part]!(weave, options.json));
      print(await withDaemon(options, (weave) => weave.status()), options.json, render);
    });

function render({ version, pid, peer, networks, endpoints, started, dns, cluster, notices }: Status): string {
  const rows = [
    ['Version', version],
    ['Name', `${peer.id}(${peer.name})`],
    ['Pid', pid],
    ['Started', new Date(started).toISOString()],
    ['Networks', networks],
    ['Endpoints', endpoints],
    ...(dns ? [['Domain', `${dns.domain}.`]] : []),
    ...(cluster ? [['Cluster', describe(cluster)]] : []),
    ...notices.map((notice) => ['Notice', notice]),
  ];
  return `\n${rows.map(([label, value]) => `${label}: ${value}`.padStart(16 + String(value).length)).join('\n')}\n`;
}

function describe({ id, reachable, problem }: NonNullable<Status['cluster']>): string {
  const state =
    problem ?? (reachable ? 'in step' : 'the store does not answer: what is known of other hosts may be old');
  return id ? `${id} (${state})` : `not joined: ${state}`;
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
