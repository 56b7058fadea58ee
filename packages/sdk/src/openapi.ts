import { CATALOGUE } from '@weave/core';
import { VERSION } from './version.ts';
import { VERBS } from './wire.ts';

const json = (schema: object) => ({ content: { 'application/json': { schema } } });

const error = {
  description: 'It was refused, and changed nothing.',
  ...json({ $ref: '#/components/schemas/Refusal' }),
};

const REFUSAL = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'kind', 'message', 'hint'],
      properties: {
        code: { type: 'string', enum: Object.keys(CATALOGUE) },
        kind: { type: 'string', enum: [...new Set(Object.values(CATALOGUE).map(([kind]) => kind))] },
        message: { type: 'string' },
        hint: { type: 'string', description: 'What to do.' },
      },
    },
  },
};

const answer = (schema: object, description = 'Done; `result` is what the verb answers.') => ({
  description,
  ...json(schema),
});

const RESULT = { type: 'object', required: ['result'], properties: { result: {} } };

const verb = (name: string, params: object) => ({
  post: {
    operationId: name,
    tags: [name.includes('.') ? name.split('.')[0] : 'host'],
    requestBody: { required: true, ...json(params) },
    responses: { 200: answer(RESULT), 400: error, 500: error },
  },
});

const text = (operationId: string, description: string, type: string) => ({
  get: {
    operationId,
    tags: ['host'],
    responses: { 200: { description, content: { [type]: { schema: { type: 'string' } } } } },
  },
});

/** The API of the daemon's socket, as OpenAPI 3.1: its schemas are those that requests are held to. */
export const describeVerbs = () => ({
  openapi: '3.1.0',
  info: {
    title: 'Weave',
    version: VERSION,
    summary: 'The daemon’s own API, on its unix socket.',
    description: 'What each verb does and answers is said at the interface `Weave` of @weave/sdk, which it mirrors.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  paths: {
    ...Object.fromEntries(Object.entries(VERBS).map(([name, { params }]) => [`/v1/${name}`, verb(name, params)])),
    '/v1/events': text('events', 'A line of JSON for each record that changes.', 'application/x-ndjson'),
    '/metrics': text('metrics', 'Prometheus’ text format.', 'text/plain'),
    '/openapi.json': { get: { operationId: 'openapi', tags: ['host'], responses: { 200: answer({}, 'This.') } } },
  },
  components: { schemas: { Refusal: REFUSAL } },
});
