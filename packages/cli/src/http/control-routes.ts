import { type Endpoint, isWeaveError, type Weave, WeaveError } from '@weave/sdk';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { mainPool } from '../report/view.ts';
import { parametersOf } from './parameters.ts';

/** What 2.8 lets this host's programs do. Addresses are not handed out by themselves: what is attached has them. */
export function controlRoutes(app: FastifyInstance, weave: Weave): void {
  app.post('/connect', async (request) => {
    const replace = parametersOf(request).get('replace') === 'true';
    await weave.cluster.connect(peersOf(request), { replace });
    return '';
  });
  app.post('/forget', async (request) => {
    await weave.cluster.forget(peersOf(request));
    return '';
  });
  app.post<{ Params: Exposed }>('/expose/:ip/:length', async (request, reply) => {
    const { ip, length } = request.params;
    await weave.expose([`${ip}/${length}`], { masquerade: parametersOf(request).get('skipNAT') !== 'true' });
    return reply.code(204).send();
  });
  app.get('/ring', async () => {
    await weave.cluster.prime();
    return '';
  });
  app.delete<{ Params: { peer: string } }>('/peer/:peer', async ({ params: { peer } }) => {
    return `${await takenOver(weave, peer)} IPs taken over from ${peer}\n`;
  });
  app.get('/ip', async () => ({ owned: owned(await weave.endpoints.list()) }));
  app.get<{ Params: Place }>('/ip/:id', ({ params }) => addressesOf(weave, params));
  app.get<{ Params: Place }>('/ip/:id/:subnet/:length', ({ params }) => addressesOf(weave, params));
  app.get('/ipinfo/defaultsubnet', async () => mainPool({ pools: await weave.cluster.pools() })?.cidr ?? '');
  app.get('/ipinfo/tracker', async () => '');
}

interface Exposed {
  ip: string;
  length: string;
}

const MOST_PEERS = 256;
const LONGEST_NAME = 255;

function peersOf(request: FastifyRequest): string[] {
  const peers = parametersOf(request).getAll('peer');
  const isPossible = (peer: string) => peer.length > 0 && peer.length <= LONGEST_NAME;
  if (peers.length === 0 || peers.length > MOST_PEERS || !peers.every(isPossible))
    throw new WeaveError('WEAVE_INVALID_REQUEST', 'peers are wanted, as peer=host1&peer=host2');
  return peers;
}

/** There is no such host, or no other at all. */
const NOBODY: readonly string[] = ['WEAVE_PEER_NOT_FOUND', 'WEAVE_NOT_CLUSTERED'];

/** Nothing, as in 2.8, of a host that is not known. */
async function takenOver(weave: Weave, peer: string): Promise<string> {
  try {
    return await weave.cluster.remove(peer);
  } catch (error) {
    if (isWeaveError(error) && NOBODY.includes(error.code)) return '0';
    throw error;
  }
}

interface Place {
  id: string;
  subnet?: string;
  length?: string;
}

function owned(endpoints: readonly Endpoint[]): { containerid: string; addrs: string[] }[] {
  const byContainer = new Map<string, string[]>();
  for (const { container, addresses } of endpoints)
    if (container) byContainer.set(container.id, [...(byContainer.get(container.id) ?? []), ...addresses]);
  return [...byContainer].map(([containerid, addrs]) => ({ containerid, addrs }));
}

async function addressesOf(weave: Weave, { id, subnet, length }: Place): Promise<string> {
  const network = subnet === undefined ? undefined : await networkOf(weave, `${subnet}/${length}`);
  const of = (await weave.endpoints.list()).filter(
    (endpoint) => endpoint.container?.id === id && (network === undefined || endpoint.network === network),
  );
  return of.flatMap(({ addresses }) => addresses).join(' ');
}

async function networkOf(weave: Weave, cidr: string): Promise<string> {
  const found = (await weave.networks.list()).find(({ subnets }) => subnets.some((each) => each.cidr === cidr));
  if (!found) throw new WeaveError('WEAVE_INVALID_SUBNET', `${cidr} is the subnet of no network`);
  return found.id;
}
