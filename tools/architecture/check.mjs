import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { findCircles } from './circles.mjs';
import { packageOf, readSource } from './imports.mjs';
import { ioGlobals, maxLines, packages, sources, testTools } from './rules.mjs';

/** Every violation of the rules below `root`, as text that names the place. */
export function checkArchitecture(root) {
  const manifests = globSync(['packages/*/package.json', 'native/package.json', 'tools/bench/package.json'], {
    cwd: root,
  });
  const found = manifests.flatMap((path) => checkPackage(root, dirname(path), readJson(join(root, path))));
  return [...found, ...checkLengths(root)];
}

function checkPackage(root, folder, manifest) {
  const rule = packages[manifest.name];
  if (rule?.folder !== folder) return [`${folder}: ${manifest.name} is not in tools/architecture/rules.mjs`];
  const read = (path) => ({ path, ...readSource(join(root, path), rule.pure ? ioGlobals : undefined) });
  const src = globSync(`${folder}/src/**/*.ts`, { cwd: root }).map(read);
  const test = globSync(`${folder}/test/**/*.ts`, { cwd: root }).map(read);
  return [
    ...src.flatMap((file) => checkImports(file, manifest.name, rule)),
    ...checkDeclared(folder, manifest, rule, src, test),
    ...findCircles(importGraph(root, src)).map((circle) => `import circle: ${circle.join(' → ')} → ${circle[0]}`),
  ];
}

function checkImports({ path, imports, globals }, name, rule) {
  const found = globals.map((global) => `${path}:${global.line}: ${name} is pure and may not use ${global.name}`);
  for (const { specifier, line } of imports) {
    const imported = packageOf(specifier);
    if (rule.pure && specifier.startsWith('node:'))
      found.push(`${path}:${line}: ${name} is pure and may not import ${specifier}`);
    if (imported in packages && imported !== name && !rule.mayImport.includes(imported)) {
      found.push(`${path}:${line}: ${name} may not import ${imported}`);
    }
    if (specifier.endsWith('/testing') && !path.includes('/testing/') && !rule.private) {
      found.push(`${path}:${line}: ${specifier} is for tests`);
    }
  }
  return found;
}

/** What sources import is a dependency, what only tests import a devDependency, and what is declared is imported. */
function checkDeclared(folder, manifest, rule, src, test) {
  const runtime = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies };
  const any = { ...runtime, ...manifest.devDependencies, [manifest.name]: '', ...names(testTools) };
  const used = (files) =>
    new Set(files.flatMap(({ imports }) => imports.map((i) => packageOf(i.specifier)).filter(Boolean)));
  const inSource = used(src);
  const inTest = used(test);
  const found = [];
  const sourceMayUse = rule.bundleNeeds ? any : runtime;
  for (const name of inSource)
    if (!(name in sourceMayUse)) found.push(`${folder}: imports ${name}, which is not in its dependencies`);
  for (const name of inTest)
    if (!(name in any)) found.push(`${folder}: its tests import ${name}, which it does not declare`);
  if (rule.declaresUnused) return found;
  if (src.length > 0) found.push(...Object.keys(runtime).flatMap((name) => needless(folder, name, rule, inSource)));
  for (const name in manifest.devDependencies) {
    const typed = name.replace('@types/', '');
    if (!inTest.has(name) && !inSource.has(typed) && !inTest.has(typed)) {
      found.push(`${folder}: declares ${name}, which no test imports`);
    }
  }
  return found;
}

/** What is in a bundle is there already when it is installed. */
function needless(folder, name, { bundleNeeds }, inSource) {
  if (bundleNeeds) return bundleNeeds.includes(name) ? [] : [`${folder}: declares ${name}, which its bundle has`];
  return inSource.has(name) ? [] : [`${folder}: declares ${name}, which no source imports`];
}

function importGraph(root, files) {
  const known = new Set(files.map(({ path }) => path));
  return new Map(
    files.map(({ path, imports }) => {
      const targets = imports
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => relative(root, resolve(root, dirname(path), specifier)));
      return [path, targets.filter((target) => known.has(target))];
    }),
  );
}

function checkLengths(root) {
  return globSync(sources, { cwd: root, exclude: ['**/node_modules/**', '**/target/**'] }).flatMap((path) => {
    const lines = readFileSync(join(root, path), 'utf8').split('\n').length - 1;
    return lines > maxLines ? [`${path}: ${lines} lines; a source has at most ${maxLines}`] : [];
  });
}

function names(list) {
  return Object.fromEntries(list.map((name) => [name, '']));
}

function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
}
