import { createLab, type Host } from '@weave/e2e';
import { measured, timed } from '../measure.ts';
import { post } from '../post.ts';

const COUNT = 40;

type Samples = Record<string, number[]>;

/** A real engine's containers, on its own bridge and on networks of ours in turn. */
export async function engine() {
  await using lab = await createLab({ hosts: 1 });
  const host = lab.hosts[0]!;
  await host.weave('launch', '--local');
  const ours = ['network', 'create', '--driver', 'weave', '--ipam-driver', 'weave'];
  await host.docker('network', 'create', 'bridge1');
  await host.docker(...ours, '-o', 'works.weave.gateway=weave', 'own');
  await host.docker(...ours, 'default1');
  const starts = await startsOf(host, ['bridge1', 'own', 'default1']);
  const { connects, disconnects } = await connectsOf(host, ['bridge1', 'default1']);
  const beside = (samples: Samples) => ({ name: 'user-defined bridge', samples: samples.bridge1! });
  return [
    measured(starts.own!, { name: 'docker start, gateway=weave', reference: beside(starts), atMost: 1 }),
    measured(starts.default1!, { name: 'docker start, docker_gwbridge', reference: beside(starts), atMost: 1.15 }),
    measured(connects.default1!, { name: 'docker network connect', reference: beside(connects), atMost: 0.6 }),
    measured(disconnects.default1!, { name: 'docker network disconnect', reference: beside(disconnects), atMost: 0.7 }),
  ];
}

/** The engine's own time to start a container, without that of making it and of the client. */
async function startsOf(host: Host, networks: readonly string[]): Promise<Samples> {
  const samples: Samples = Object.fromEntries(networks.map((name) => [name, []]));
  const ask = asker(host);
  for (let i = 0; i < COUNT; i++)
    for (const name of networks) {
      const id = await host.docker('create', '--net', name, 'busybox', 'sleep', '60');
      samples[name]!.push(await timed(() => ask(`/containers/${id}/start`)));
      await host.docker('rm', '-f', id);
    }
  return samples;
}

async function connectsOf(host: Host, networks: readonly string[]) {
  const connects: Samples = Object.fromEntries(networks.map((name) => [name, []]));
  const disconnects: Samples = Object.fromEntries(networks.map((name) => [name, []]));
  const ask = asker(host);
  const id = await host.docker('run', '-d', 'busybox', 'sleep', '3600');
  for (let i = 0; i < COUNT; i++)
    for (const name of networks) {
      connects[name]!.push(await timed(() => ask(`/networks/${name}/connect`, { Container: id })));
      disconnects[name]!.push(await timed(() => ask(`/networks/${name}/disconnect`, { Container: id })));
    }
  return { connects, disconnects };
}

/** Of the engine's own API: its client takes as long as some of what is measured. */
const asker = (host: Host) => (path: string, body?: unknown) => post(host.path('/run/docker.sock'), path, body);
