// The one entry behind `npm run demo|test|check|build|bench`. Runs on any Node from 20 on, before anything is installed.
import { bench } from './bench.mjs';
import { build } from './build.mjs';
import { check } from './check.mjs';
import { demo } from './demo/demo.mjs';
import { installDebianPackages, installRivals, requireRoot } from './setup/debian.mjs';
import { installNodeModules } from './setup/node-modules.mjs';
import { begin, StepFailed, say } from './setup/step.mjs';
import { test } from './test.mjs';

const commands = {
  async build() {
    await installNodeModules();
    await build();
  },
  async check() {
    await installNodeModules();
    const failed = await check(await build());
    if (failed.length > 0) throw new StepFailed(`these checks failed: ${failed.join(', ')}`);
    say('all checks hold');
  },
  async test() {
    await installNodeModules();
    await installDebianPackages();
    const failedChecks = await check(await build());
    if (!(await test(failedChecks))) process.exitCode = 1;
  },
  async bench(parts) {
    await installNodeModules();
    await installRivals();
    await build();
    await bench(parts);
  },
  async demo(args) {
    if (args.includes('--down')) return demo.down();
    await installNodeModules();
    await installDebianPackages();
    await build();
    await demo.up();
  },
};

const rootFor = {
  test: 'the tests make network namespaces and start Docker engines',
  bench: 'the benchmarks make network namespaces and start Docker engines',
  demo: 'the demo starts a Docker engine and makes network interfaces',
};

const [name, ...args] = process.argv.slice(2);
const command = Object.hasOwn(commands, name ?? '') ? commands[name] : undefined;
if (!command) {
  console.error(`usage: node tools/run.mjs ${Object.keys(commands).join('|')}`);
  process.exit(2);
}
try {
  if (rootFor[name]) requireRoot(rootFor[name]);
  begin(name);
  await command(args);
} catch (error) {
  if (!(error instanceof StepFailed)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
