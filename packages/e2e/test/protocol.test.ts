import { request } from 'node:http';
import tap, { test } from 'tap';
import { createLab } from '../src/index.ts';

const lab = await createLab({ hosts: 1, docker: false });
const host = lab.hosts[0]!;
tap.teardown(() => lab.dispose());
await host.weave('launch', '--local');

const NETWORK = 'a'.repeat(64);
const ENDPOINT = 'b'.repeat(64);
const MEGABYTE = 'x'.repeat(1_000_000);

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

function call(method: string, body?: unknown, raw?: string): Promise<Answer> {
  const text = raw ?? (body === undefined ? '' : JSON.stringify(body));
  const socketPath = host.path('/run/docker/plugins/weave.sock');
  const headers = {
    accept: 'application/vnd.docker.plugins.v1.2+json',
    host: '',
    'content-length': Buffer.byteLength(text),
  };
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path: `/${method}`, method: 'POST', headers }, async (response) => {
      let out = '';
      for await (const chunk of response) out += chunk;
      resolve({ status: response.statusCode ?? 0, body: JSON.parse(out) });
    });
    sent.on('error', reject);
    sent.end(text);
  });
}

const state = async () =>
  `${await host.weave('network', 'ls', '--json')}${await host.weave('ps', '--json')}${(await host.exec('sha256sum /var/lib/weave/weave.db*')).stdout}`;

test('a network and an endpoint by hand, each call twice', async (t) => {
  t.same((await call('Plugin.Activate')).body, { Implements: ['NetworkDriver', 'IpamDriver'] });
  t.match((await call('NetworkDriver.GetCapabilities')).body, { Scope: 'local' });
  t.match((await call('IpamDriver.GetCapabilities')).body, { RequiresRequestReplay: false });
  t.ok((await call('IpamDriver.GetDefaultAddressSpaces')).body.LocalDefaultAddressSpace);
  const pool = await call('IpamDriver.RequestPool', {
    AddressSpace: 'weave-local',
    Pool: '10.50.0.0/24',
    SubPool: '',
    Options: null,
    V6: false,
  });
  const PoolID = pool.body.PoolID;
  const gateway = await call('IpamDriver.RequestAddress', {
    PoolID,
    Address: '',
    Options: { RequestAddressType: 'com.docker.network.gateway' },
  });
  t.same(gateway.body, { Address: '10.50.0.1/24', Data: {} });
  const create = {
    NetworkID: NETWORK,
    Options: { 'com.docker.network.enable_ipv6': false, 'com.docker.network.generic': {} },
    IPv4Data: [{ AddressSpace: 'weave-local', Pool: '10.50.0.0/24', Gateway: '10.50.0.1/24' }],
    IPv6Data: [],
  };
  for (const _ of [1, 2]) t.same(await call('NetworkDriver.CreateNetwork', create), { status: 200, body: {} });
  const address = await call('IpamDriver.RequestAddress', { PoolID, Address: '' });
  t.equal(address.body.Address, '10.50.0.2/24');
  const endpoint = {
    NetworkID: NETWORK,
    EndpointID: ENDPOINT,
    Interface: { Address: '10.50.0.2/24', AddressIPv6: '', MacAddress: '' },
    Options: {},
  };
  const made = await call('NetworkDriver.CreateEndpoint', endpoint);
  t.same(made.body, { Interface: { MacAddress: '5a:77:0a:32:00:02' } });
  t.same(await call('NetworkDriver.CreateEndpoint', endpoint), made, 'again');
  t.same((await call('NetworkDriver.EndpointOperInfo', { NetworkID: NETWORK, EndpointID: ENDPOINT })).body, {
    Value: {},
  });
  const join = {
    NetworkID: NETWORK,
    EndpointID: ENDPOINT,
    SandboxKey: '/var/run/docker/netns/0a6de59daa9b',
    Options: {},
  };
  const joined = await call('NetworkDriver.Join', join);
  t.match(joined.body, {
    InterfaceName: { DstPrefix: 'ethwe' },
    StaticRoutes: [{ Destination: '224.0.0.0/4', RouteType: 1 }],
  });
  t.same(await call('NetworkDriver.Join', join), joined, 'again');
  const { SrcName } = joined.body.InterfaceName as { SrcName: string };
  t.match((await host.exec(`ip link show ${SrcName}`)).stdout, /5a:77:0a:32:00:02/);
});

test('malformed requests are refused, with both keys, and change nothing', async (t) => {
  const before = await state();
  const of = (extra: object) => ({ NetworkID: NETWORK, EndpointID: ENDPOINT, ...extra });
  const network = (extra: object) => ({
    NetworkID: 'c'.repeat(64),
    Options: {},
    IPv4Data: [{ Pool: '10.51.0.0/24', AddressSpace: 'x' }],
    ...extra,
  });
  const iface = (Interface: unknown) => ({ NetworkID: NETWORK, EndpointID: 'd'.repeat(64), Interface });
  const malformed: [string, unknown, string?][] = [
    ['NetworkDriver.CreateNetwork', undefined, ''],
    ['NetworkDriver.CreateEndpoint', undefined, ''],
    ['NetworkDriver.Join', undefined, ''],
    ['NetworkDriver.Leave', undefined, ''],
    ['NetworkDriver.DeleteEndpoint', undefined, ''],
    ['NetworkDriver.DeleteNetwork', undefined, ''],
    ['IpamDriver.RequestPool', undefined, ''],
    ['IpamDriver.ReleasePool', undefined, ''],
    ['IpamDriver.RequestAddress', undefined, ''],
    ['IpamDriver.ReleaseAddress', undefined, ''],
    ['NetworkDriver.ProgramExternalConnectivity', undefined, ''],
    ['NetworkDriver.CreateNetwork', undefined, '{'],
    ['NetworkDriver.CreateNetwork', undefined, '<html>'],
    ['NetworkDriver.CreateNetwork', undefined, 'null'],
    ['NetworkDriver.CreateNetwork', undefined, '[]'],
    ['NetworkDriver.CreateNetwork', undefined, '"text"'],
    ['NetworkDriver.CreateNetwork', {}],
    ['NetworkDriver.CreateNetwork', network({ NetworkID: 7 })],
    ['NetworkDriver.CreateNetwork', network({ NetworkID: '../../etc/passwd/////////////////' })],
    ['NetworkDriver.CreateNetwork', network({ IPv4Data: 'none' })],
    ['NetworkDriver.CreateNetwork', network({ IPv4Data: [{ Pool: 'not-a-subnet' }] })],
    ['NetworkDriver.CreateNetwork', network({ IPv4Data: [{ Pool: '0.0.0.0/0', AddressSpace: 'null' }] })],
    ['NetworkDriver.CreateNetwork', network({ Options: { 'com.docker.network.generic': { mtu: 'large' } } })],
    ['NetworkDriver.CreateNetwork', network({ Options: { 'com.docker.network.generic': { colour: 'red' } } })],
    ['NetworkDriver.CreateNetwork', network({ Options: { 'com.docker.network.generic': { mtu: MEGABYTE } } })],
    ['NetworkDriver.CreateNetwork', network({ NetworkID: MEGABYTE })],
    ['NetworkDriver.CreateEndpoint', of({})],
    ['NetworkDriver.CreateEndpoint', iface('eth0')],
    ['NetworkDriver.CreateEndpoint', iface({})],
    ['NetworkDriver.CreateEndpoint', iface({ Address: '10.50.0.9' })],
    ['NetworkDriver.CreateEndpoint', iface({ Address: '10.50.0.9/24', MacAddress: 'ff:ff:ff:ff:ff:ff' })],
    ['NetworkDriver.CreateEndpoint', iface({ Address: 12 })],
    ['NetworkDriver.Join', of({})],
    ['NetworkDriver.Join', of({ SandboxKey: '' })],
    ['NetworkDriver.Join', of({ EndpointID: 'b', SandboxKey: '/x' })],
    [
      'NetworkDriver.ProgramExternalConnectivity',
      of({ Options: { 'com.docker.network.portmap': [{ Proto: 'tcp' }] } }),
    ],
    ['IpamDriver.RequestPool', { AddressSpace: 'weave-local', Pool: '10.0.0.0/99' }],
    ['IpamDriver.RequestPool', { AddressSpace: 'weave-local', Pool: '10.52.0.0/24', SubPool: '10.53.0.0/24' }],
    ['IpamDriver.RequestPool', { AddressSpace: 'weave-local', Pool: '10.52.0.0/24', Options: { colour: 'red' } }],
    ['IpamDriver.RequestPool', { AddressSpace: MEGABYTE }],
    ['IpamDriver.RequestAddress', { PoolID: 'weave:10.50.0.0/24', Address: 'x' }],
    ['IpamDriver.RequestAddress', { PoolID: 'weave:10.50.0.0/24', Address: '10.99.0.1' }],
    ['IpamDriver.RequestAddress', {}],
    ['NetworkDriver.Nonsense', of({})],
    ['', {}],
    ['../../etc/passwd', {}],
  ];
  for (const [method, body, raw] of malformed) {
    const answer = await call(method, body, raw);
    const name = `${method} ${(raw ?? JSON.stringify(body)).slice(0, 80)}`;
    t.equal(answer.status, 400, name);
    t.ok(
      typeof answer.body.Err === 'string' && answer.body.Err === answer.body.Error && answer.body.Err !== '',
      'both keys say why',
    );
    t.notMatch(answer.body.Err, /\n\s+at /, 'no stack trace');
  }
  t.ok(malformed.length >= 40);
  t.equal(await state(), before, 'byte for byte');
});

test('what is not known is released, and what is held goes', async (t) => {
  const gone = { NetworkID: 'e'.repeat(64), EndpointID: 'f'.repeat(64) };
  for (const method of ['Leave', 'DeleteEndpoint', 'DeleteNetwork', 'RevokeExternalConnectivity'])
    t.same(await call(`NetworkDriver.${method}`, gone), { status: 200, body: {} }, method);
  for (const PoolID of ['', 'weave:10.99.0.0/24']) {
    t.same(await call('IpamDriver.ReleaseAddress', { PoolID, Address: '10.99.0.1' }), { status: 200, body: {} });
    t.same(await call('IpamDriver.ReleasePool', { PoolID }), { status: 200, body: {} });
  }
  t.equal(
    (await call('NetworkDriver.Join', { ...gone, SandboxKey: '/x' })).status,
    500,
    'but not found is an error to a join',
  );
  const ids = { NetworkID: NETWORK, EndpointID: ENDPOINT };
  for (const _ of [1, 2]) {
    t.same((await call('NetworkDriver.Leave', ids)).body, {});
    t.same((await call('NetworkDriver.DeleteEndpoint', ids)).body, {});
  }
  t.same((await call('IpamDriver.ReleaseAddress', { PoolID: 'weave:10.50.0.0/24', Address: '10.50.0.2' })).body, {});
  t.same((await call('IpamDriver.ReleasePool', { PoolID: 'weave:10.50.0.0/24' })).body, {});
  t.same((await call('NetworkDriver.DeleteNetwork', { NetworkID: NETWORK })).body, {});
  t.equal(await host.weave('ps'), '');
  t.equal(
    (
      await host.exec(
        'stat -c "%a %U" /run/docker/plugins/weave.sock /run/docker/plugins/weavemesh.sock /run/weave/weave.sock',
      )
    ).stdout,
    '660 root\n'.repeat(3),
  );
});

test('what is chosen for a network without a subnet never meets the host’s own routes, nor is asked for without end', async (t) => {
  await host.exec('ip route add 10.64.16.0/20 dev eth0; ip -6 route add fd77:6561:7665:1::/64 dev eth0');
  const ask = (V6: boolean) =>
    call('IpamDriver.RequestPool', { AddressSpace: 'weave-local', Pool: '', SubPool: '', Options: {}, V6 });
  t.equal((await ask(false)).body.Pool, '10.64.32.0/20');
  t.equal((await ask(true)).body.Pool, 'fd77:6561:7665:2::/64');
  const pools = new Set<unknown>();
  for (let i = 0; i < 30; i++) pools.add((await ask(false)).body.Pool);
  t.equal(pools.size, 30, 'each answer is another');
});
