import { Command } from 'commander';
import { type DaemonOptions, daemonOptions, examples } from '../options.ts';

export const daemonCommand = (): Command =>
  daemonOptions(new Command('daemon').description('run the daemon in the foreground, until SIGTERM'))
    .argument('[peer...]', 'hosts to connect to, each name or address')
    .addHelpText('after', examples('weave daemon --log-level debug'))
    .action(async (peers: string[], options: DaemonOptions) => {
      // Loaded only here: every other command is a client, and quick.
      const { etcdOf, runDaemon, socketsIn } = await import('../daemon.ts');
      const domain = options.dns ? options.dnsDomain : undefined;
      await runDaemon({ ...options, sockets: socketsIn(options.pluginDir), etcd: etcdOf(options), peers, domain });
    });
