import { metricsOf, type Weave, WeaveError } from '@weave/sdk';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { STATUS_PARTS } from '../report/parts.ts';
import { reportOf } from '../report/report.ts';
import { statusText } from '../report/text.ts';
import { viewOf } from '../report/view.ts';
import { render } from '../template/render.ts';
import { parametersOf } from './parameters.ts';

/** What may be read, as in 2.8. */
export function statusRoutes(app: FastifyInstance, weave: Weave): void {
  app.get('/status', async () => statusText(await viewOf(weave)));
  for (const [name, { text }] of Object.entries(STATUS_PARTS))
    app.get(`/status/${name}`, async () => lines(text(await viewOf(weave))));
  app.get('/report', async (request, reply) => {
    const template = templateOf(request);
    const report = reportOf(await viewOf(weave));
    return template === undefined ? reply.type('application/json').send(report) : render(template, report);
  });
  app.get('/metrics', async (_request, reply) => reply.type('text/plain; version=0.0.4').send(await metricsOf(weave)));
}

const lines = (text: string): string => (text === '' ? '' : `${text}\n`);

/** Undefined: all of it, as JSON. */
function templateOf(request: FastifyRequest): string | undefined {
  if (request.headers.accept?.includes('application/json')) return undefined;
  const [format, ...more] = parametersOf(request).getAll('format');
  if (format === undefined || more.length > 0)
    throw new WeaveError('WEAVE_INVALID_REQUEST', 'one format is wanted, or Accept: application/json');
  return format;
}
