import { once } from 'node:events';
import type { Host } from './host.ts';

export interface Etcd {
  /** As `--store` takes it. */
  readonly url: string;
  /** Ends it at once; its data stay. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stopSignal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Its data are gone. Only while it does not run. */
  lose(): Promise<void>;
}

/** A real etcd of one member on a host of the lab. */
export async function startEtcd(host: Host, data = '/run/etcd'): Promise<Etcd> {
  const at = `http://${host.ip}:2379`;
  const argv = ['etcd', '--name', host.name, '--data-dir', data, '--listen-client-urls', at];
  const urls = ['--advertise-client-urls', at, '--listen-peer-urls', 'http://127.0.0.1:2380'];
  let child: ReturnType<Host['spawn']> | undefined;
  async function start(): Promise<void> {
    child = host.spawn([...argv, ...urls], { stdio: 'ignore' });
    await host.exec(`until curl -sfm1 ${at}/health | grep -q '"health":"true"'; do sleep 0.05; done`);
  }
  await start();
  return {
    url: `etcd://${host.ip}:2379`,
    start,
    stopSignal(signal) {
      child?.kill(signal);
      // nsenter stops with what it started, and does not go on with it.
      if (signal === 'SIGCONT') process.kill(child!.pid!, signal);
    },
    async kill() {
      const ended = once(child!, 'exit');
      child!.kill('SIGKILL');
      await ended;
    },
    lose: async () => void (await host.exec(['rm', '-rf', data])),
  };
}
