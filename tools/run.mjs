// The one entry behind `npm run demo|test|check|build`. Runs on any Node from 20 on, before anything is installed.
import { build } from './build.mjs';
import { check } from './check.mjs';
import { demo } from './demo/demo.mjs';
import { installDebianPackages, requireRoot } from './setup/debian.mjs';
import { installNodeModules } from './setup/node-modules.mjs';
import { begin, StepFailed } from './setup/step.mjs';
import { test } from './test.mjs';

const commands = {
  async build() {
    await installNodeModules();
    await build();
  },
  async check() {
    await installNodeModules();
    await check(await build());
  },
  async test() {
    requireRoot('the tests make network namespaces and start Docker engines');
    await installNodeModules();
    await installDebianPackages();
    const built = await build();
    const clean = await check(built, { report: true });
    const passed = await test({ clean });
    if (!passed || !clean) process.exitCode = 1;
  },
  async demo(args) {
    requireRoot('the demo starts a Docker engine and makes network interfaces');
    if (args.includes('--down')) return demo.down();
    await installNodeModules();
    await installDebianPackages();
    await build();
    await demo.up();
  },
};

const [name, ...args] = process.argv.slice(2);
const command = Object.hasOwn(commands, name ?? '') ? commands[name] : undefined;
if (!command) {
  console.error(`usage: node tools/run.mjs ${Object.keys(commands).join('|')}`);
  process.exit(2);
}
begin(name);
try {
  await command(args);
} catch (error) {
  if (!(error instanceof StepFailed)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
