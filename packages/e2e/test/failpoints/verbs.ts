import { request } from 'node:http';
import type { Host, Mortal } from '../../src/index.ts';

const hex = (text: string) => text.padEnd(64, '0');
const NETWORK = hex('a1');
const ENDPOINT = hex('e1');
const POOL = 'weave:10.70.0.0/24';

export interface Place {
  host: Host;
  daemon: Mortal;
}

export type Verb = (place: Place) => Promise<unknown>;

/** As the engine calls its plugin. */
function plugin(method: string, body: object): Verb {
  return ({ host }) =>
    new Promise((resolve, reject) => {
      const text = JSON.stringify(body);
      const socketPath = host.path('/run/docker/plugins/weave.sock');
      const sent = request({ socketPath, method: 'POST', path: `/${method}` }, async (response) => {
        let answer = '';
        try {
          for await (const chunk of response) answer += chunk;
          if (response.statusCode === 200) resolve(answer);
          else reject(new Error(`${method}: ${answer}`));
        } catch (error) {
          reject(error);
        }
      });
      sent.on('error', reject).end(text);
    });
}

const IPAM = { AddressSpace: 'weave-local', Pool: '10.70.0.0/24', SubPool: '', V6: false, Options: {} };
const interfaceOf = { Address: '10.70.0.9/24', AddressIPv6: '', MacAddress: '' };
const joined = { NetworkID: NETWORK, EndpointID: ENDPOINT };

export interface Pair {
  name: string;
  verb: Verb;
  inverse: string;
  /** Takes it back. */
  back: Verb;
  /** In effect while it is tried. */
  given?: Pair[];
  /** Recorded, but not yet made: only the engine can have that done again, and it does. */
  mayWait?: boolean;
  /** The engine does not ask for the same again, but gives back what it did not hear of. */
  isGrant?: boolean;
  /** Only it is tried, not what takes it back. */
  isOneWay?: boolean;
}

export const PAIRS: Pair[] = [
  {
    name: 'network create',
    verb: ({ daemon }) => unlessThere(daemon.weave.networks.create({ name: 'blue' })),
    inverse: 'network rm',
    back: ({ daemon }) => unlessGone(daemon.weave.networks.remove('blue')),
  },
  {
    name: 'network create, gateway=weave',
    verb: ({ daemon }) =>
      unlessThere(daemon.weave.networks.create({ name: 'out', options: { 'works.weave.gateway': 'weave' } })),
    inverse: 'network rm, gateway=weave',
    back: ({ daemon }) => unlessGone(daemon.weave.networks.remove('out')),
  },
  {
    name: 'attach',
    verb: ({ daemon }) => daemon.weave.attach({ netns: '/run/netns/a' }, ['10.2.1.1/24', 'net:default']),
    inverse: 'detach',
    back: ({ daemon }) => daemon.weave.detach({ netns: '/run/netns/a' }),
  },
];

const requestPool: Pair = {
  name: 'RequestPool',
  verb: plugin('IpamDriver.RequestPool', IPAM),
  inverse: 'ReleasePool',
  back: plugin('IpamDriver.ReleasePool', { PoolID: POOL }),
  isGrant: true,
};
const createNetwork: Pair = {
  name: 'CreateNetwork',
  verb: plugin('NetworkDriver.CreateNetwork', {
    NetworkID: NETWORK,
    Options: { 'com.docker.network.generic': {} },
    IPv4Data: [{ AddressSpace: 'weave-local', Pool: '10.70.0.0/24', Gateway: '10.70.0.1/24', AuxAddresses: {} }],
    IPv6Data: [],
  }),
  inverse: 'DeleteNetwork',
  back: plugin('NetworkDriver.DeleteNetwork', { NetworkID: NETWORK }),
  given: [requestPool],
};
const requestAddress: Pair = {
  name: 'RequestAddress',
  verb: plugin('IpamDriver.RequestAddress', { PoolID: POOL, Address: '10.70.0.9', Options: {} }),
  inverse: 'ReleaseAddress',
  back: plugin('IpamDriver.ReleaseAddress', { PoolID: POOL, Address: '10.70.0.9' }),
  given: [requestPool, createNetwork],
  isGrant: true,
};
const createEndpoint: Pair = {
  name: 'CreateEndpoint',
  verb: plugin('NetworkDriver.CreateEndpoint', { ...joined, Interface: interfaceOf, Options: {} }),
  inverse: 'DeleteEndpoint',
  back: plugin('NetworkDriver.DeleteEndpoint', joined),
  given: [requestPool, createNetwork, requestAddress],
};
const joinPair: Pair = {
  name: 'Join',
  verb: plugin('NetworkDriver.Join', { ...joined, SandboxKey: '/var/run/docker/netns/0123456789ab', Options: {} }),
  inverse: 'Leave',
  back: plugin('NetworkDriver.Leave', joined),
  given: [requestPool, createNetwork, requestAddress, createEndpoint],
  mayWait: true,
};
/** The daemon ends with it. */
const reset: Pair = {
  name: 'reset',
  verb: ({ host }) => host.weave('reset'),
  inverse: 'all that was reset',
  async back(place) {
    for (const { verb } of PAIRS.slice(1, 3)) await verb(place);
  },
  given: PAIRS.slice(1, 3),
  isOneWay: true,
};
PAIRS.push(requestPool, createNetwork, requestAddress, createEndpoint, joinPair, reset);

const ignoring = (code: string) => (error: unknown) => {
  if ((error as { code?: string }).code !== code) throw error;
};
const unlessThere = (made: Promise<unknown>) => made.catch(ignoring('WEAVE_NETWORK_EXISTS'));
const unlessGone = (removed: Promise<unknown>) => removed.catch(ignoring('WEAVE_NETWORK_NOT_FOUND'));
