import { test } from 'tap';
import type { EngineContainer, Weave, WeaveEvent } from '../src/index.ts';
import { createRig, type Rig, WAYS } from './rig.ts';

const domain = 'weave.local';
const id = (digit: string) => digit.repeat(64);
const NETWORK = id('a');
const ENDPOINT = id('b');

const names = async (weave: Weave) =>
  (await weave.names.list()).map(({ name, addresses }) => `${name} ${addresses.join(' ')}`).sort();

/** A container of the engine on one of its networks, of which no driver call tells the name. */
async function joined(rig: Rig): Promise<EngineContainer> {
  const { here } = rig;
  const subnets = [{ cidr: '10.50.0.0/24', gateway: '10.50.0.1', ours: false }];
  await here.networks.adopt({ id: NETWORK, subnets, options: {}, internal: false });
  await here.endpoints.create({ id: ENDPOINT, network: NETWORK, addresses: ['10.50.0.2/24'] });
  const { routes } = await here.endpoints.attach(ENDPOINT, '/sandbox');
  if (!routes.includes('169.254.53.53/32')) throw new Error(`it has no way to the DNS: ${routes}`);
  return { ...rig.run('web'), endpoints: [ENDPOINT] };
}

for (const way of WAYS)
  test(`${way}: an engine’s container is called as the engine calls it, for as long as it runs`, async (t) => {
    await using rig = await createRig({ way, domain });
    const { weave } = rig;
    const web = await joined(rig);
    t.same(await names(weave), [], 'nobody told how');
    const aliases = { [ENDPOINT]: ['www'], [id('f')]: ['elsewhere'] };
    await weave.engine.started({
      ...web,
      hostname: 'h.weave.local',
      aliases,
      services: [{ protocol: 'tcp', port: 80 }],
    });
    t.same(await names(weave), ['h.weave.local 10.50.0.2', 'web.weave.local 10.50.0.2', 'www.weave.local 10.50.0.2']);
    const [first] = await weave.names.list({ of: ENDPOINT });
    t.match(first, {
      ...{ id: `${ENDPOINT}/h.weave.local`, network: NETWORK, container: web.id },
      services: [{ protocol: 'tcp', port: 80 }],
    });
    t.same(await weave.names.lookup('WWW'), ['10.50.0.2']);
    t.same(await weave.names.lookup('elsewhere'), []);
    t.same(await weave.names.lookup('no such..name'), [], 'what can be no name is none');
    await weave.engine.started({ ...web, name: 'shop' });
    t.same(await names(weave), ['shop.weave.local 10.50.0.2'], 'renamed, and its alias is gone');
    await weave.endpoints.detach(ENDPOINT);
    t.same(await names(weave), [], 'from when it leaves');
    await weave.endpoints.attach(ENDPOINT, '/sandbox');
    t.same(await names(weave), [], 'until somebody says so again');
  });

test('what was attached is called by its own name too; not once it has ended', async (t) => {
  await using rig = await createRig({ domain });
  const { weave } = rig;
  const web = { ...rig.run('web'), hostname: 'Web.Weave.Local' };
  rig.containers.set('web', web);
  await weave.attach({ container: 'web' }, ['10.2.1.1/24']);
  t.same(await names(weave), ['web.weave.local 10.2.1.1']);
  await weave.attach({ container: 'web' }, ['10.2.1.2/24']);
  t.same(await names(weave), ['web.weave.local 10.2.1.1 10.2.1.2']);
  await weave.names.add({ container: 'web', name: 'www' });
  await weave.names.add({ addresses: ['192.0.2.7'], name: 'printer' });
  await weave.engine.ended(web.id);
  t.same(await names(weave), ['printer.weave.local 192.0.2.7'], 'nor what it was given');
  const again = rig.run('web');
  await weave.engine.started({ ...again, hostname: 'other.weave.local' });
  t.same(
    await names(weave),
    ['other.weave.local 10.2.1.1 10.2.1.2', 'printer.weave.local 192.0.2.7', 'web.weave.local 10.2.1.1 10.2.1.2'],
    'another run',
  );
  await weave.detach({ container: 'web' }, ['10.2.1.1/24']);
  t.same(await weave.names.lookup('other'), ['10.2.1.2'], 'an address that went');
  await weave.names.add({ container: 'web', name: 'www' });
  await weave.detach({ container: 'web' }, ['10.2.1.2/24']);
  t.same(await names(weave), ['printer.weave.local 192.0.2.7'], 'with what it was called beside');
  await weave.attach({ container: 'web' }, ['10.2.1.3/24']);
  await weave.names.add({ container: 'web', name: 'www' });
  await weave.engine.report({ networks: [], endpoints: [], containers: [], gone: [again.id], before: [] } as never);
  t.same(await names(weave), ['printer.weave.local 192.0.2.7'], 'removed while nobody was told');
});

test('a container that is to have no names has none, also later', async (t) => {
  await using rig = await createRig({ domain });
  const web = rig.run('web');
  await rig.weave.attach({ container: 'web' }, [], { withoutDns: true });
  await rig.weave.engine.started(web);
  t.same(await names(rig.weave), []);
  await rig.weave.engine.started(rig.run('web'));
  t.same(await names(rig.weave), [], 'in its next run');
  await using next = await rig.restart();
  t.same(await names(next.weave), []);
});

test('dns-add and dns-remove, in their three forms', async (t) => {
  await using rig = await createRig({ domain });
  const { weave } = rig;
  const c1 = { ...rig.run('c1'), hostname: 'c1.weave.local' };
  rig.containers.set('c1', c1);
  await weave.attach({ container: 'c1' }, ['10.2.1.1/24'], { withoutDns: true });
  const lookup = (name: string) => weave.names.lookup(name);
  for (const target of [{ addresses: ['10.2.1.1'], container: 'c1' }, { container: 'c1' }]) {
    await weave.names.add(target);
    t.same(await lookup('c1'), ['10.2.1.1'], JSON.stringify(target));
    await weave.names.add({ ...target, name: 'other' });
    t.same(await lookup('other'), ['10.2.1.1']);
    await weave.names.remove({ ...target, name: 'other' });
    t.same([await lookup('other'), await lookup('c1')], [[], ['10.2.1.1']]);
    await weave.names.remove(target);
    t.same(await lookup('c1'), []);
  }
  await weave.names.add({ addresses: ['10.2.1.9', '10.2.1.8'], name: 'ext' });
  t.same(await lookup('ext'), ['10.2.1.9', '10.2.1.8']);
  await weave.names.remove({ addresses: ['10.2.1.9'] });
  t.same(await lookup('ext'), ['10.2.1.8']);
  const refusals: [object, string][] = [
    [{ addresses: ['10.2.1.9'] }, 'WEAVE_INVALID_NAME'],
    [{ addresses: ['10.2.1.9'], name: 'a.example.com' }, 'WEAVE_INVALID_NAME'],
    [{ addresses: ['10.2.1.300'], name: 'a' }, 'WEAVE_INVALID_ADDRESS'],
    [{ name: 'a' }, 'WEAVE_INVALID_REQUEST'],
    [{ container: 'nobody', name: 'a' }, 'WEAVE_CONTAINER_NOT_FOUND'],
  ];
  rig.run('c2');
  const before = rig.state();
  for (const [target, code] of refusals) await t.rejects(weave.names.add(target), { code }, JSON.stringify(target));
  await t.rejects(weave.names.add({ container: 'c2', name: 'a' }), { code: 'WEAVE_ENDPOINT_NOT_FOUND' });
  rig.containers.set('c1', { ...c1, pid: 0 });
  await t.rejects(weave.names.add({ container: 'c1', name: 'a' }), { code: 'WEAVE_NOT_RUNNING' });
  t.equal(rig.state(), before, 'what was refused changed nothing');
});

test('all names are there again after a restart', async (t) => {
  await using rig = await createRig({ domain });
  await rig.weave.engine.started({ ...(await joined(rig)), aliases: { [ENDPOINT]: ['www'] } });
  await rig.weave.names.add({ addresses: ['192.0.2.7'], name: 'printer' });
  const before = await names(rig.weave);
  t.equal(before.length, 3);
  await using next = await rig.restart();
  t.same(await names(next.weave), before);
});

test('without a domain there are none', async (t) => {
  await using rig = await createRig();
  const { weave } = rig;
  const web = rig.run('web');
  await weave.attach({ container: 'web' });
  await weave.engine.started({ ...web, hostname: 'web.weave.local' });
  await weave.engine.ended(web.id);
  t.same([await names(weave), await weave.names.lookup('web')], [[], []]);
  t.equal((await weave.status()).dns, undefined);
  t.notMatch(rig.datapath.listing(), /169\.254/);
  await t.rejects(weave.names.add({ addresses: ['10.1.1.1'], name: 'a' }), { code: 'WEAVE_NO_DNS' });
  await t.rejects(createRig({ domain: 'a..b' }), { code: 'WEAVE_INVALID_OPTION' });
});

test('whoever follows is told what to look at', async (t) => {
  await using rig = await createRig({ domain });
  const told: WeaveEvent[] = [];
  const events = rig.weave.events();
  const following = (async () => {
    for await (const event of events) told.push(event);
  })();
  await rig.weave.names.add({ addresses: ['192.0.2.7'], name: 'printer' });
  await rig.weave.names.remove({ addresses: ['192.0.2.7'] });
  await events.return?.();
  await following;
  t.match(told, [
    { type: 'name', action: 'created', id: /printer\.weave\.local\/192\.0\.2\.7$/ },
    { type: 'name', action: 'removed' },
  ]);
});
