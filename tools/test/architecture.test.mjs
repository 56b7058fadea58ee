import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { checkArchitecture } from '../architecture/check.mjs';
import { findCircles } from '../architecture/circles.mjs';

/** Checks a workspace of these files: path → content. */
function violations(t, files) {
  const root = mkdtempSync(join(tmpdir(), 'architecture-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return checkArchitecture(root);
}

const core = { 'packages/core/package.json': { name: '@weave/core' } };
const sdk = { 'packages/sdk/package.json': { name: '@weave/sdk', dependencies: { '@weave/core': 'workspace:*' } } };

test('what the rules allow is not a violation', (t) => {
  const found = violations(t, {
    ...core,
    ...sdk,
    'packages/core/src/index.ts': "export * from './model.ts';",
    'packages/core/src/model.ts': 'export const x = { process: 1 };\nexport const y = x.process;',
    'packages/sdk/src/index.ts': "import { readFileSync } from 'node:fs';\nexport type { x } from '@weave/core';",
    'packages/sdk/test/a.test.ts': "import { test } from 'tap';\nimport { fake } from '@weave/core/testing';",
  });
  assert.deepEqual(found, []);
});

test('core does no I/O', (t) => {
  const found = violations(t, {
    ...core,
    'packages/core/src/a.ts': "import { readFileSync } from 'node:fs';\n\nexport const now = process.hrtime();",
    'packages/core/src/b.ts': "export const later = () => import('node:fs');\nexport const all = { fetch };",
  });
  assert.deepEqual(found.sort(), [
    'packages/core/src/a.ts:1: @weave/core is pure and may not import node:fs',
    'packages/core/src/a.ts:3: @weave/core is pure and may not use process',
    'packages/core/src/b.ts:1: @weave/core is pure and may not import node:fs',
    'packages/core/src/b.ts:2: @weave/core is pure and may not use fetch',
  ]);
});

test('packages import only downwards, and types count', (t) => {
  const dependencies = { '@weave/sdk': 'workspace:*', '@weave/cli': 'workspace:*' };
  const found = violations(t, {
    'packages/docker/package.json': { name: '@weave/docker', dependencies },
    'packages/docker/src/index.ts': "import type { Weave } from '@weave/sdk';\nexport type X = import('@weave/cli').Y;",
    'packages/core/package.json': { name: '@weave/core', dependencies: { '@weave/sdk': 'workspace:*' } },
    'packages/core/src/index.ts': "export { open } from '@weave/sdk';",
  });
  assert.deepEqual(found.sort(), [
    'packages/core/src/index.ts:1: @weave/core may not import @weave/sdk',
    'packages/docker/src/index.ts:2: @weave/docker may not import @weave/cli',
  ]);
});

test('a package is in the rules, at its place', (t) => {
  const found = violations(t, {
    'packages/new/package.json': { name: '@weave/new' },
    'packages/other/package.json': { name: '@weave/core' },
  });
  assert.deepEqual(found.sort(), [
    'packages/new: @weave/new is not in tools/architecture/rules.mjs',
    'packages/other: @weave/core is not in tools/architecture/rules.mjs',
  ]);
});

test('what is imported is declared, and what is declared is imported', (t) => {
  const found = violations(t, {
    'packages/sdk/package.json': {
      name: '@weave/sdk',
      dependencies: { fastify: '5', unused: '1' },
      devDependencies: { dev: '1', idle: '1', '@types/fastify': '5' },
    },
    'packages/sdk/src/index.ts': "import 'fastify';\nimport { x } from 'dev';\nimport '@scope/missing/deep';",
    'packages/sdk/test/a.test.ts': "import 'dev';\nimport 'absent';",
  });
  assert.deepEqual(found.sort(), [
    'packages/sdk: declares idle, which no test imports',
    'packages/sdk: declares unused, which no source imports',
    'packages/sdk: imports @scope/missing, which is not in its dependencies',
    'packages/sdk: imports dev, which is not in its dependencies',
    'packages/sdk: its tests import absent, which it does not declare',
  ]);
});

test('what is for tests stays out of sources', (t) => {
  const found = violations(t, {
    ...sdk,
    'packages/sdk/src/index.ts': "import '@weave/core';\nimport '@weave/core/testing';",
  });
  assert.deepEqual(found, ['packages/sdk/src/index.ts:2: @weave/core/testing is for tests']);
});

test('files import each other in no circle', (t) => {
  const found = violations(t, {
    ...core,
    'packages/core/src/a.ts': "import './in/b.ts';",
    'packages/core/src/in/b.ts': "export type { C } from '../c.ts';",
    'packages/core/src/c.ts': "import './a.ts';",
  });
  assert.equal(found.length, 1);
  assert.match(found[0], /^import circle: .*packages\/core\/src\/in\/b\.ts/);
});

test('a source is not too long', (t) => {
  const found = violations(t, {
    ...core,
    'packages/core/src/a.ts': '\n'.repeat(300),
    'packages/core/src/b.ts': '\n'.repeat(301),
  });
  assert.deepEqual(found, ['packages/core/src/b.ts: 301 lines; a source has at most 300']);
});

test('circles are found wherever they hang', () => {
  const graph = new Map([
    ['root', ['a', 'leaf']],
    ['a', ['b']],
    ['b', ['c', 'x']],
    ['c', ['a']],
    ['x', ['y']],
    ['y', ['x']],
    ['self', ['self']],
    ['leaf', []],
  ]);
  const circles = findCircles(graph).map((circle) => circle.sort().join(''));
  assert.deepEqual(circles.sort(), ['abc', 'self', 'xy']);
});

test('what is in a bundle is not to be installed beside it', (t) => {
  const src = { 'packages/cli/src/a.ts': "import 'commander';\nimport 'pino';" };
  const manifest = (dependencies) => ({ name: '@weave/cli', dependencies, devDependencies: { commander: '1' } });
  const found = (dependencies) => violations(t, { ...src, 'packages/cli/package.json': manifest(dependencies) });
  assert.deepEqual(found({ '@weave/native': 'workspace:*' }), [
    'packages/cli: imports pino, which is not in its dependencies',
  ]);
  assert.deepEqual(found({ pino: '1' }), ['packages/cli: declares pino, which its bundle has']);
});
