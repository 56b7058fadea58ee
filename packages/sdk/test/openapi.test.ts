import { Ajv } from 'ajv';
import { test } from 'tap';
import { describeVerbs } from '../src/index.ts';
import { VERBS } from '../src/wire.ts';
import { ask } from './ask.ts';
import { createRig } from './rig.ts';

test('the description is of what is served', async (t) => {
  await using rig = await createRig({ way: 'connect' });
  const { status, text } = await ask(rig.socket, '/openapi.json', undefined, {}, 'GET');
  t.equal(status, 200);
  const served = JSON.parse(text);
  t.strictSame(served, JSON.parse(JSON.stringify(describeVerbs())));
  const paths = Object.keys(served.paths);
  t.strictSame(
    paths.filter((path) => path.startsWith('/v1/')).sort(),
    [...Object.keys(VERBS).map((name) => `/v1/${name}`), '/v1/events'].sort(),
  );
  for (const path of ['/metrics', '/openapi.json'])
    t.equal((await ask(rig.socket, path, undefined, {}, 'GET')).status, 200, `${path} is there`);
  const ids = Object.values<Record<string, { operationId: string }>>(served.paths).flatMap((methods) =>
    Object.values(methods).map(({ operationId }) => operationId),
  );
  t.equal(new Set(ids).size, paths.length, 'each has a name of its own');
});

test('requests and refusals are as it says', async (t) => {
  await using rig = await createRig({ way: 'connect' });
  const { paths, components } = describeVerbs();
  const ajv = new Ajv();
  const body = (path: string) =>
    (
      paths as unknown as Record<
        string,
        { post: { requestBody: { content: { 'application/json': { schema: object } } } } }
      >
    )[path]!.post.requestBody.content['application/json'].schema;
  const attach = ajv.compile(body('/v1/attach'));
  const refusal = ajv.compile(components.schemas.Refusal);
  const cases: [body: object, fits: boolean][] = [
    [{ target: { pid: 1 }, addresses: [] }, true],
    [{ target: { pid: 0 }, addresses: [] }, false],
    [{ target: { pid: 1, netns: '/x' }, addresses: [] }, false],
    [{ target: { container: 'x' } }, false],
    [{ target: { container: 'x' }, addresses: ['a'], more: 1 }, false],
  ];
  for (const [request, fits] of cases) {
    t.equal(attach(request), fits, JSON.stringify(request));
    const { status, text } = await ask(rig.socket, '/v1/attach', JSON.stringify(request));
    const answer = JSON.parse(text);
    t.equal(status === 400 && answer.error.code === 'WEAVE_INVALID_REQUEST', !fits, text);
    t.ok(refusal(answer), text);
  }
});
