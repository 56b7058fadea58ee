import { execFileSync } from 'node:child_process';
import { t } from 'tap';
import { inOwnNamespace } from '../own-namespace.ts';
import { createHosts, together, until } from './hosts.ts';
import { etcdsOf } from './processes.ts';

await inOwnNamespace(import.meta.filename, async () => {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);

  t.test('whom nobody answers goes on trying', async (t) => {
    await using hosts = createHosts();
    const a = await hosts.add('a');
    await a.stop();
    const b = await hosts.add('b');
    const [target] = await b.managed.connect([`${a.address}:6783`]);
    t.match(target, { state: 'trying', error: { code: 'WEAVE_PEER_UNREACHABLE' } });
    await a.start();
    await together(a, b);
    b.managed.forget([`${a.address}:6783`]);
    t.same(b.managed.status().targets, []);
    t.ok(b.managed.store, 'what is joined stays joined');
  });

  t.test('the host that has etcd begins; where none has, how to get it', async (t) => {
    await using hosts = createHosts();
    const [a, b] = [await hosts.add('a', { etcd: '' }), await hosts.add('b', { etcd: '' })];
    await t.rejects(b.managed.connect([a.address]), {
      code: 'WEAVE_ETCD_MISSING',
      hint: /apt-get install etcd-server/,
    });
    const c = await hosts.add('c');
    await a.managed.connect([c.address]);
    await together(a, c);
    t.ok(c.managed.status().etcd, 'it runs there');
  });

  t.test('who is let in and cannot reach the store is told where that is', async (t) => {
    await using hosts = createHosts();
    const [a, b] = [await hosts.add('a'), await hosts.add('b')];
    await b.managed.connect([a.address]);
    await together(a, b);
    const [etcd] = etcdsOf(a.stateDir);
    process.kill(etcd!, 'SIGSTOP');
    const c = await hosts.add('c', { targets: [a.address] });
    const target = () => c.managed.status().targets[0];
    const why = new RegExp(`https://${a.address}:6785: it does not answer`);
    await until('it is said', () => why.test(target()?.error?.message ?? ''));
    t.equal(target()?.state, 'waiting');
    process.kill(etcd!, 'SIGCONT');
    await together(a, b, c);
    await until('nothing is in the way', () => target()?.state === 'together' && !target()?.error);
  });

  t.test('a host that comes back is where it was', async (t) => {
    await using hosts = createHosts();
    const [a, b] = [await hosts.add('a'), await hosts.add('b')];
    await b.managed.connect([a.address]);
    await together(a, b);
    const { clusterId } = a.managed.store!;
    for (const host of [a, b]) await host.stop();
    t.same(etcdsOf(a.stateDir), [], 'its etcd ends with it');
    for (const host of [a, b]) await host.start();
    await together(a, b);
    t.equal(a.managed.store?.clusterId, clusterId);
  });

  t.test('a host that moved tells the others, though they cannot find it', async (t) => {
    await using hosts = createHosts();
    const [a, b] = [await hosts.add('a'), await hosts.add('b')];
    await b.managed.connect([a.address]);
    await together(a, b);
    await a.stop();
    await a.start({ addresses: ['127.77.1.1'], bind: ['127.77.1.1'] });
    await until('they have it', () => b.managed.store?.endpoints.join() === '127.77.1.1:6785');
    await until('and know where it is', () => b.managed.status().hosts[0]?.control.join() === '127.77.1.1:6783');
    t.equal(b.managed.store?.clusterId, a.managed.store?.clusterId);
  });

  t.test('over IPv6, to a host with both, and with none of its own', async () => {
    for (const address of ['fd77::1', 'fd77::2', '10.77.0.1'])
      execFileSync('ip', ['address', 'add', address, 'dev', 'lo', ...(address.includes(':') ? ['nodad'] : [])]);
    await using hosts = createHosts();
    const both = await hosts.add('a', { addresses: ['10.77.0.1', 'fd77::1'], bind: ['10.77.0.1', 'fd77::1'] });
    const six = await hosts.add('b', { addresses: ['fd77::2'], bind: ['fd77::2'] });
    await six.managed.connect(['[fd77::1]:6783']);
    await together(both, six);
  });

  t.test('a target that is none', async (t) => {
    await using hosts = createHosts();
    const a = await hosts.add('a');
    for (const target of ['', 'a b', 'host:0', 'host:70000', '[::1', 'http://host'])
      await t.rejects(a.managed.connect([target]), { code: 'WEAVE_INVALID_REQUEST' }, target);
    await until('it is its own target', async () => (await a.managed.connect([a.address]))[0]?.state === 'together');
  });
});
