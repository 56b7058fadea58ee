import { request } from 'node:http';
import { join } from 'node:path';
import type { Weave } from '@weave/sdk';
import tap, { test } from 'tap';
import { serveHttp } from '../src/http/serve.ts';
import { createRig } from './rig.ts';

const rig = await createRig({ domain: 'weave.local' });
tap.teardown(() => rig[Symbol.asyncDispose]());
const c1 = { ...rig.addContainer(1), hostname: 'c1.weave.local' };
rig.containers.set('c1', c1).set(c1.id, c1);
const at = join(rig.runDir, 'http.sock');

const ask = (path: string, method = 'GET', socketPath = at) =>
  new Promise<{ status: number; text: string }>((resolve, reject) => {
    const sent = request({ socketPath, path, method, agent: false }, async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve({ status: response.statusCode!, text });
    });
    sent.on('error', reject).end();
  });

const serving = (weave: Weave = rig.weave, address = at, readOnly = false) =>
  serveHttp(weave, { address, readOnly, option: 'http-addr' });

test('names are given, told and taken away as in 2.8', async (t) => {
  await using _ = await serving();
  await rig.weave.attach({ container: 'c1' }, ['10.2.1.1/24']);
  t.strictSame(await ask('/domain'), { status: 200, text: 'weave.local.' });
  const { text: address } = await ask('/dns-address');
  t.match(address, /^\d+\.\d+\.\d+\.\d+$/);
  t.equal((await ask('/dns-address-port')).text, `${address}:53`);
  t.strictSame(await ask(`/name/${c1.id}/10.2.1.1?fqdn=www.weave.local.`, 'PUT'), { status: 204, text: '' });
  t.strictSame(await ask('/name/weave:extern/fd00::1?fqdn=db.weave.local', 'PUT'), { status: 204, text: '' });
  t.strictSame(await rig.weave.names.lookup('www'), ['10.2.1.1']);
  const Origin = (await rig.weave.status()).peer.id;
  const entry = (Hostname: string, ContainerID: string, Address: string) => ({
    Hostname,
    Origin,
    ContainerID,
    Address,
  });
  const told = [
    entry('c1.weave.local.', c1.id, '10.2.1.1'),
    entry('db.weave.local.', 'weave:extern', 'fd00::1'),
    entry('www.weave.local.', c1.id, '10.2.1.1'),
  ];
  const byName = (a: { Hostname: string }, b: { Hostname: string }) => (a.Hostname < b.Hostname ? -1 : 1);
  t.strictSame(JSON.parse((await ask('/name')).text).sort(byName), told);
  const report = JSON.parse((await rig.run('report')).stdout);
  t.match(report.DNS, { Domain: 'weave.local.', Address: `${address}:53` });
  t.strictSame(report.DNS.Entries.sort(byName), told);
  t.equal((await rig.run('report', '-f', '{{len .DNS.Entries}}')).stdout, '3');
  t.match(await ask('/status/dns'), { status: 200, text: /^c1 {11}10\.2\.1\.1 {8}/ });
  t.match((await ask('/metrics')).text, /^weave_dns_entries 3$/m);

  t.equal((await ask(`/name/${c1.id}/10.2.1.1?fqdn=www.weave.local`, 'DELETE')).status, 204);
  t.strictSame(await rig.weave.names.lookup('www'), []);
  t.equal((await ask('/name/weave:extern/fd00::1', 'DELETE')).status, 204);
  t.equal((await ask(`/name/${c1.id}`, 'DELETE')).status, 204);
  t.strictSame(JSON.parse((await ask('/name')).text), []);
});

test('what is refused changes nothing', async (t) => {
  await using _ = await serving();
  const before = await rig.state();
  for (const path of [
    ...['/name/weave:extern/10.2.1?fqdn=x', '/name/weave:extern/10.2.1.1?fqdn=', '/name/weave:extern/10.2.1.1?fqdn=-x'],
    ...['/name/weave:extern/10.2.1.1?fqdn=x.example.com', `/name/weave:extern/10.2.1.1?fqdn=${'x'.repeat(300)}`],
  ])
    t.equal((await ask(path, 'PUT')).status, 400, path);
  t.match(await ask('/name/nosuch/10.2.1.1?fqdn=x', 'PUT'), { status: 500, text: /no container nosuch/ });
  t.equal(await rig.state(), before);
});

test('there is no such path where no names are served, nor where nothing is changed', async (t) => {
  const [off, told] = ['off.sock', 'told.sock'].map((name) => join(rig.runDir, name)) as [string, string];
  const { status } = rig.weave;
  const without = { ...rig.weave, status: async () => ({ ...(await status()), dns: undefined }) } as unknown as Weave;
  await using _ = await serving(without, off);
  await using __ = await serving(rig.weave, told, true);
  for (const socket of [off, told])
    for (const [path, method] of [
      ['/domain', 'GET'],
      ['/name', 'GET'],
      [`/name/${c1.id}/10.2.1.1?fqdn=x`, 'PUT'],
      ['/name', 'DELETE'],
    ] as const)
      t.equal((await ask(path, method, socket)).status, 404, `${method} ${path}`);
});

test('expose', async (t) => {
  const calls: unknown[] = [];
  const weave = { ...rig.weave, expose: async (...args: unknown[]) => void calls.push(args) } as unknown as Weave;
  await using _ = await serving(weave);
  t.equal((await ask('/expose/10.2.1.9/24', 'POST')).status, 204);
  t.equal((await ask('/expose/fd00::9/64?skipNAT=true', 'POST')).status, 204);
  t.strictSame(calls, [
    [['10.2.1.9/24'], { masquerade: true }],
    [['fd00::9/64'], { masquerade: false }],
  ]);
});
