import type { FastifyInstance, FastifyRequest } from 'fastify';

/** Whatever was sent is text: forms are what 2.8 takes, and curl calls everything one. */
export function takesForms(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, async (_request: FastifyRequest, body: string) => body);
}

/** Of a form, then of the address. */
export function parametersOf({ body, url }: FastifyRequest): URLSearchParams {
  const form = new URLSearchParams(typeof body === 'string' ? body : '');
  for (const [name, value] of new URL(url, 'http://weave').searchParams) form.append(name, value);
  return form;
}
