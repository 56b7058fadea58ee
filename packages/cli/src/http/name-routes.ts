import { isIP } from 'node:net';
import { type NameTarget, type Status, type Weave, WeaveError } from '@weave/sdk';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { entriesOf } from '../report/report.ts';
import { EXTERN } from '../report/text.ts';
import { parametersOf } from './parameters.ts';

const DNS_PORT = 53;

interface Place {
  container?: string;
  ip?: string;
}

type Named = FastifyRequest<{ Params: Place }>;

/** Where names are served; where not, these are no paths, as in 2.8. */
export function nameRoutes(
  app: FastifyInstance,
  weave: Weave,
  { domain, addresses }: NonNullable<Status['dns']>,
): void {
  const [address = ''] = addresses;
  app.get('/domain', async () => `${domain}.`);
  app.get('/dns-address', async () => address);
  app.get('/dns-address-port', async () => `${address}:${DNS_PORT}`);
  app.get('/name', async (_request, reply) =>
    reply.type('application/json').send((await weave.names.list()).flatMap(entriesOf)),
  );
  app.put('/name/:container/:ip', async (request: Named, reply) => {
    await weave.names.add(targetOf(request));
    return done(reply);
  });
  const remove = async (request: Named, reply: FastifyReply) => {
    await weave.names.remove(targetOf(request));
    return done(reply);
  };
  for (const path of ['/name', '/name/:container', '/name/:container/:ip']) app.delete(path, remove);
}

const done = (reply: FastifyReply) => reply.code(204).send();

function targetOf(request: Named): NameTarget {
  const { container, ip } = request.params;
  const name = parametersOf(request).get('fqdn') ?? undefined;
  if (ip !== undefined && !isIP(ip)) throw new WeaveError('WEAVE_INVALID_ADDRESS', `${ip} is no address`);
  if (name !== undefined && (name === '' || name.length > 255))
    throw new WeaveError('WEAVE_INVALID_NAME', 'the fqdn is no name');
  return {
    ...(container === undefined || container === EXTERN ? {} : { container }),
    ...(ip === undefined ? {} : { addresses: [ip] }),
    ...(name === undefined ? {} : { name: name.replace(/\.$/, '') }),
  };
}
