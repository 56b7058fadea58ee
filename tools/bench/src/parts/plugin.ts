import { cpuTime, startDaemon } from '../daemon.ts';
import { measured, timed } from '../measure.ts';
import { post } from '../post.ts';

const COUNT = 200;

/** The engine's two calls for a container's start, as it makes them. */
export async function plugin(dir: string) {
  await using daemon = await startDaemon(dir);
  const network = 'a'.repeat(64);
  await call('NetworkDriver.CreateNetwork', {
    NetworkID: network,
    IPv4Data: [{ AddressSpace: 'LocalDefault', Pool: '10.60.0.0/16', Gateway: '10.60.0.1/16' }],
    IPv6Data: [{ AddressSpace: 'LocalDefault', Pool: 'fd00:60::/64', Gateway: 'fd00:60::1/64' }],
    Options: {},
  });
  const start = async (i: number) => {
    const endpoint = { NetworkID: network, EndpointID: i.toString(16).padStart(64, '0') };
    const low = `${(i >> 8) + 1}.${i & 255}`;
    const addresses = { Address: `10.60.${low}/16`, AddressIPv6: `fd00:60::${i.toString(16)}/64`, MacAddress: '' };
    await call('NetworkDriver.CreateEndpoint', { ...endpoint, Interface: addresses, Options: {} });
    await call('NetworkDriver.Join', { ...endpoint, SandboxKey: `/var/run/docker/netns/${i}`, Options: {} });
  };
  for (let i = 0; i < COUNT; i++) await start(2 + i);
  const nothing: number[] = [];
  const both: number[] = [];
  const javascript: number[] = [];
  for (let i = 0; i < COUNT; i++) {
    nothing.push(await timed(() => call('Plugin.Activate', {})));
    const before = cpuTime(daemon.pid, daemon.pid);
    both.push(await timed(() => start(2 + COUNT + i)));
    javascript.push(cpuTime(daemon.pid, daemon.pid) - before);
  }
  return [
    measured(both, { name: 'CreateEndpoint and Join', atMost: 3 }),
    measured(javascript, { name: 'of which CPU time of the JavaScript thread', atMost: 1 }),
    measured(nothing, { name: 'Plugin.Activate, a round trip that does nothing' }),
  ];
}

const call = (method: string, body: unknown) => post('/run/docker/plugins/weave.sock', `/${method}`, body);
