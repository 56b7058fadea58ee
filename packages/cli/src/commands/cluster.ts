import type { Weave } from '@weave/sdk/client';
import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { examples } from '../options.ts';
import { print, withProgress } from '../output.ts';

export const connectCommand = (): Command =>
  daemonClient('connect')
    .description('make this host and others one cluster; those that do not answer yet are tried on')
    .argument('<peer...>', 'names or addresses of hosts, with :port where it is not 6783')
    .option('--replace', 'and forget those of before')
    .addHelpText('after', examples('weave connect host1', 'weave connect --replace 192.0.2.7'))
    .action(async (peers: string[], { replace = false, ...options }: CommonOptions & { replace?: boolean }) => {
      await withProgress('connecting', () => withDaemon(options, (weave) => weave.cluster.connect(peers, { replace })));
      print({ connected: peers }, options.json, () => '');
    });

export const forgetCommand = (): Command =>
  daemonClient('forget')
    .description('connect to these hosts no more when the daemon starts; what has joined stays so')
    .argument('<peer...>', 'as they were given to launch or connect')
    .addHelpText('after', examples('weave forget host1'))
    .action(async (peers: string[], options: CommonOptions) => {
      await withDaemon(options, (weave) => weave.cluster.forget(peers));
      print({ forgotten: peers }, options.json, () => '');
    });

export const primeCommand = (): Command =>
  daemonClient('prime')
    .description('wait until this host has addresses to hand out')
    .option('--rebuild', 'first make the store that hosts share anew, from what they know: after it was lost for good')
    .addHelpText('after', examples('weave prime', 'weave prime --rebuild'))
    .action(async ({ rebuild = false, ...options }: CommonOptions & { rebuild?: boolean }) => {
      const prime = async (weave: Weave) => {
        if (rebuild) await weave.cluster.rebuild();
        await weave.cluster.prime();
      };
      await withProgress('waiting for addresses', () => withDaemon(options, prime));
      print({ primed: true }, options.json, () => '');
    });

export const rmpeerCommand = (): Command =>
  daemonClient('rmpeer')
    .description('take hosts that are gone for good out of the cluster: their addresses are free then')
    .argument('<peer...>', 'names or ids, as in: weave status peers')
    .addHelpText('after', examples('weave rmpeer host2'))
    .action(async (peers: string[], options: CommonOptions) => {
      const removed: { peer: string; addresses: string }[] = [];
      try {
        await withProgress('removing', () =>
          withDaemon(options, async (weave) => {
            for (const peer of peers) removed.push({ peer, addresses: await weave.cluster.remove(peer) });
          }),
        );
      } finally {
        // Also where one could not be removed: those before it are.
        if (removed.length > 0)
          print(removed, options.json, () =>
            removed.map(({ peer, addresses }) => `${addresses} IPs taken over from ${peer}`).join('\n'),
          );
      }
    });
