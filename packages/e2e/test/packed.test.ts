import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import tap, { test } from 'tap';
import { createLab, type Host, traces } from '../src/index.ts';

const checkout = fileURLToPath(new URL('../../..', import.meta.url));
const LIMIT_MS = 60_000;

const packed = mkdtempSync('/var/tmp/weave-packed-');
tap.teardown(() => rmSync(packed, { recursive: true }));
const lab = await createLab({ hosts: 1 });
tap.teardown(() => lab.dispose());
const [host] = lab.hosts as [Host];

const PREFIX = '/run/prefix';
const weave = (...args: string[]) => host.exec([`${PREFIX}/bin/weave`, ...args], { timeoutMs: 120_000 });
const inside = (container: string, ...command: string[]) =>
  host.exec(['docker', 'exec', container, ...command], { allowFail: true });

for (const folder of ['packages/cli', 'native'])
  execFileSync(join(checkout, 'node_modules/.bin/pnpm'), ['pack', '--pack-destination', packed], {
    cwd: join(checkout, folder),
    env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` },
    stdio: 'ignore',
  });

test('installed from npm’s tarballs alone, where the checkout is not', async (t) => {
  const tarballs = readdirSync(packed).map((name) => join(packed, name));
  t.equal(tarballs.length, 2, 'the command and the addon; all else is in them');
  await host.exec(`mkdir -p ${PREFIX}/bin; cp ${process.execPath} ${PREFIX}/bin/node`);
  const npm = ['npm', 'install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', PREFIX];
  await host.exec([...npm, ...tarballs], { env: { HOME: '/run' } });
  // What tap would have every Node load is in the checkout.
  await host.exec(`printf '#!/bin/sh\\nunset NODE_OPTIONS\\nexec ${PREFIX}/bin/node ${PREFIX}/node_modules/.bin/weave "$@"\\n' >${PREFIX}/bin/weave
    chmod +x ${PREFIX}/bin/weave; mount -t tmpfs none ${checkout}`);
  t.not((await host.exec(['weave', 'version'], { allowFail: true })).code, 0, 'the checkout cannot be used any more');
});

test('the first ping, on a host that has no image of ours', async (t) => {
  for (const name of ['n1', 'n2'])
    await host.docker('run', '-d', '--name', name, '--net', 'none', 'busybox', 'sleep', '3600');
  const before = await traces(host);
  const begun = performance.now();
  await weave('launch');
  const launched = performance.now();
  await weave('attach', '10.2.1.1/24', 'n1');
  await weave('attach', '10.2.1.2/24', 'n2');
  while ((await inside('n1', 'ping', '-c1', '-W1', '10.2.1.2')).code !== 0) {
    if (performance.now() - begun > LIMIT_MS) throw new Error('no ping was answered');
    await sleep(50);
  }
  const seconds = (ms: number) => (ms / 1000).toFixed(1);
  const total = performance.now() - begun;
  t.comment(`seen: launched after ${seconds(launched - begun)} s, first ping after ${seconds(total)} s`);
  t.ok(total < LIMIT_MS, `first ping within ${LIMIT_MS} ms`);
  t.match((await weave('check')).stdout, /agree/);
  t.match(await host.docker('images', '--format', '{{.Repository}}'), /^weave$/m);
  await weave('reset', '--images');
  t.equal(await traces(host), before, 'reset leaves nothing: links, rules, routes, containers, volumes, images, files');
});
