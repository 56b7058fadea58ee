import type { AskerRecord, Changes, NameRecord, Records } from '@weave/dns';
import tap, { type Test, test } from 'tap';
import { argsFor } from '../src/commands/dns.ts';
import { feedNames } from '../src/names.ts';
import { createRig, type Rig } from './rig.ts';

const rig = await createRig({ domain: 'weave.local' });
tap.teardown(() => rig[Symbol.asyncDispose]());
const c1 = { ...rig.addContainer(1), hostname: 'c1.weave.local' };
rig.containers.set('c1', c1);

async function prints(t: Test, args: string[], stdout: string, code = 0) {
  const result = await rig.run(...args);
  t.match(result, { stdout, code }, `${args.join(' ')} ${result.stderr}`);
  t.equal(result.stdout, stdout);
}

test('dns-add, dns-lookup, status dns, dns-remove', async (t) => {
  await prints(t, ['attach', '10.2.1.1/24', 'c1'], '10.2.1.1\n');
  await prints(t, ['dns-lookup', 'c1'], '10.2.1.1\n');
  await prints(t, ['dns-lookup', 'C1.weave.local'], '10.2.1.1\n');
  await prints(t, ['dns-lookup', 'nobody'], '');
  await prints(t, ['dns-add', '10.2.1.1', 'c1', '-h', 'www.weave.local'], '');
  await prints(t, ['dns-add', '10.2.1.99', 'fd00::1', '-h', 'db'], '');
  await prints(t, ['dns-add', 'c1', '--hostname', 'api'], '');
  const { id } = (await rig.weave.status()).peer;
  await prints(
    t,
    ['status', 'dns'],
    [
      `api          10.2.1.1        ${c1.id.slice(0, 12)} ${id}`,
      `c1           10.2.1.1        ${c1.id.slice(0, 12)} ${id}`,
      `db           10.2.1.99       weave:extern ${id}`,
      `db           fd00::1         weave:extern ${id}`,
      `www          10.2.1.1        ${c1.id.slice(0, 12)} ${id}`,
      '',
    ].join('\n'),
  );
  t.equal(JSON.parse((await rig.run('status', 'dns', '--json')).stdout).length, 5);
  t.same(JSON.parse((await rig.run('dns-lookup', 'db', '--json')).stdout), ['10.2.1.99', 'fd00::1']);
  await prints(t, ['dns-remove', 'c1', '-h', 'api'], '');
  await prints(t, ['dns-remove', '10.2.1.99'], '');
  await prints(t, ['dns-lookup', 'db'], 'fd00::1\n');
  await prints(t, ['dns-remove', 'c1'], '');
  for (const name of ['c1', 'www', 'api']) await prints(t, ['dns-lookup', name], '');
  t.match((await rig.run('status')).stdout, /\n {9}Domain: weave\.local\.\n/);
});

test('mistakes', async (t) => {
  const cases: [string[], number, RegExp][] = [
    [['dns-add', '10.2.1.1'], 2, /neither a container nor a name.*\n.*-h/],
    [['dns-add', 'c1', 'c2', '-h', 'x'], 2, /c2 is one container too many/],
    [['dns-add', 'nobody', '-h', 'x'], 3, /no container nobody/],
    [['dns-add', 'c1', '-h', 'foo.example.com'], 2, /not a name in weave\.local/],
    [['dns-add', '10.2.1.1', '-h', '-x'], 2, /not a name/],
    [['dns-remove', 'nobody'], 3, /no container nobody/],
    [['dns-add'], 1, /missing required argument/],
    [['dns-lookup'], 1, /missing required argument/],
  ];
  const before = await rig.state();
  for (const [args, code, stderr] of cases)
    t.match(await rig.run(...args), { code, stderr, stdout: '' }, args.join(' '));
  t.equal(await rig.state(), before, 'nothing changed');
});

test('dns-args', async (t) => {
  await prints(t, ['dns-args'], '--dns=169.254.53.53 --dns-search=weave.local.');
  await prints(
    t,
    ['dns-args', '--name', 'web', '-d', 'nginx'],
    '--dns=169.254.53.53 --hostname=web.weave.local --dns-search=.',
  );
  await rig.weave.networks.create({ name: 'six', subnets: [{ cidr: 'fd00:6::/64' }] });
  await prints(t, ['dns-args', '--net', 'six'], '--dns=fd77:6561:7665:53::53 --dns-search=weave.local.');
  await rig.weave.networks.remove('six');
  const args = (...words: string[]) => argsFor(words, 'weave.local.', '1.2.3.4').slice(1).join(' ');
  t.equal(args('--name=web'), '--hostname=web.weave.local --dns-search=.');
  for (const words of [['-h', 'x'], ['-hx'], ['--hostname', 'x'], ['--hostname=x'], ['-h=x']]) {
    t.equal(args(...words, '--name=web'), '--dns-search=.', words.join(' '));
    t.equal(args('--name', 'web', ...words), '--dns-search=.', words.join(' '));
  }
  t.equal(args('--name=web', '--dns-search=x'), '--hostname=web.weave.local');
  t.equal(args(`--name=${'a'.repeat(60)}`), '--dns-search=weave.local.', 'no longer than the engine allows');
  t.equal(args('--name'), '--dns-search=weave.local.');
  await using without = await createRig();
  t.same(await without.run('dns-args'), { code: 0, stdout: '', stderr: '' }, 'without names');
  t.same(JSON.parse((await without.run('dns-args', '--json')).stdout), []);
});

/** What a name server would know by now. */
function served() {
  const names = new Map<string, NameRecord>();
  const askers = new Map<string, AskerRecord>();
  const networks = new Map<string, readonly string[]>();
  const put = (records: Records) => {
    for (const each of records.names ?? []) names.set(each.id, each);
    for (const each of records.askers ?? []) askers.set(each.address, each);
    for (const each of records.networks ?? []) networks.set(each.id, each.subnets);
  };
  return {
    update({ gone, ...records }: Changes) {
      for (const id of gone?.names ?? []) names.delete(id);
      for (const id of gone?.askers ?? []) askers.delete(id);
      for (const id of gone?.networks ?? []) networks.delete(id);
      put(records);
    },
    replace(records: Records) {
      for (const each of [names, askers, networks]) each.clear();
      put(records);
    },
    all: () => {
      const sorted = (of: Iterable<unknown>) => [...of].map((each) => JSON.stringify(each)).sort();
      return { names: sorted(names.values()), askers: sorted(askers.values()), networks: sorted(networks) };
    },
  };
}

/** As one that looks for the first time. */
async function afresh({ weave }: Rig) {
  const fresh = served();
  const stop = new AbortController();
  const { ended } = await feedNames(weave, fresh, () => undefined, stop.signal);
  stop.abort();
  await ended;
  return fresh.all();
}

test('who follows knows after each step what who looks anew does', async (t) => {
  await using lone = await createRig({ domain: 'weave.local' });
  const { weave } = lone;
  const following = served();
  const stop = new AbortController();
  const { ended } = await feedNames(weave, following, () => undefined, stop.signal);
  const web = lone.addContainer(1);
  const subnets = [{ cidr: '10.50.0.0/24', gateway: '10.50.0.1', ours: false }];
  const [network, endpoint] = ['a'.repeat(64), 'b'.repeat(64)];
  const steps: Record<string, () => Promise<unknown>> = {
    'a network': () => weave.networks.create({ name: 'blue', subnets: [{ cidr: '10.3.0.0/24' }] }),
    'an attachment': () => weave.attach({ container: 'c1' }),
    'a second network of the same container': () => weave.attach({ container: 'c1' }, [], { network: 'blue' }),
    'an engine’s network': () => weave.networks.adopt({ id: network, subnets, options: {}, internal: false }),
    'an endpoint there': () => weave.endpoints.create({ id: endpoint, network, addresses: ['10.50.0.2/24'] }),
    'the endpoint joins': () => weave.endpoints.attach(endpoint, '/sandbox'),
    'it is the same container’s': () => weave.engine.started({ ...web, endpoints: [endpoint] }),
    renamed: () => weave.engine.started({ ...web, name: 'shop', endpoints: [endpoint] }),
    'a name': () => weave.names.add({ addresses: ['192.0.2.7'], name: 'printer' }),
    'one network less': () => weave.detach({ container: 'c1' }, [], { network: 'blue' }),
    'the endpoint leaves': () => weave.endpoints.detach(endpoint),
    'the endpoint is gone': () => weave.endpoints.remove(endpoint),
    'no name': () => weave.names.remove({ addresses: ['192.0.2.7'] }),
    'no network': () => weave.networks.remove('blue'),
    'it has ended': () => weave.engine.ended(web.id),
    'it is gone': () => weave.engine.removed(web.id),
  };
  let before = JSON.stringify(following.all());
  for (const [what, step] of Object.entries(steps)) {
    await step();
    const want = await afresh(lone);
    for (let tries = 0; tries < 100 && JSON.stringify(following.all()) !== JSON.stringify(want); tries++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    t.same(following.all(), want, what);
    if (!what.includes('endpoint')) t.not(JSON.stringify(want), before, `${what} makes a difference`);
    before = JSON.stringify(want);
  }
  t.same(following.all().names, []);
  t.same(following.all().askers, []);
  stop.abort();
  await ended;
});
