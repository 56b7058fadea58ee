import { setTimeout as sleep } from 'node:timers/promises';
import tap, { test } from 'tap';
import { createLab, type Host, killDaemon } from '../src/index.ts';

const lab = await createLab({ hosts: 3, docker: false });
tap.teardown(() => lab.dispose());
const [a, b, c] = lab.hosts as [Host, Host, Host];

const weave = (host: Host, ...args: string[]) => host.exec(['weave', ...args], { allowFail: true, timeoutMs: 120_000 });
const launch = (host: Host, ...args: string[]) => host.weave('launch', '--local', '--log-level', 'debug', ...args);
const attach = async (host: Host, name: string) => {
  await host.exec(['ip', 'netns', 'add', name]);
  return (await host.weave('attach', `/run/netns/${name}`)).trim().split(' ')[0]!;
};
const ping = async (host: Host, from: string, to: string) =>
  (await host.exec(['ip', 'netns', 'exec', from, 'ping', '-n', '-c1', '-W1', to], { allowFail: true })).code === 0;
const isReached = async (host: Host) =>
  (JSON.parse(await host.weave('status', '--json')) as { cluster?: { reachable: boolean } }).cluster?.reachable;
const network = (host: Host, name: string, subnet: string) =>
  weave(host, 'network', 'create', name, '--subnet', subnet);
const knows = async (host: Host, name: string) => (await host.weave('network', 'ls')).includes(name);

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 60_000; !(await holds()); await sleep(200))
    if (performance.now() > end) throw new Error(`it does not come to be that ${what}`);
}

/** Its daemon and its etcd end at once, and what the etcd had is gone. */
async function loseStore(host: Host): Promise<void> {
  await killDaemon(host);
  await host.exec('pkill -KILL -x etcd; rm -rf /var/lib/weave/cluster/*/etcd-*');
}

/** As it is when a rebuild was killed once the store was there. */
const UNDO_HALF = ({ ip }: Host) => `cd /var/lib/weave/cluster/*/ && curl -sSf --cacert ca.crt --cert host.crt \
  --key host.key https://${ip}:6785/v3/kv/deleterange -d '{"key":"${btoa('/weave/cluster')}"}'`;

test('what only one host had is lost for good: another begins it anew, and all goes on', async (t) => {
  await launch(a);
  // So that it is the one that begins the cluster.
  const onA = await attach(a, 'w');
  await launch(b, a.ip);
  await b.weave('prime');
  const onB = await attach(b, 'x');
  await until('they reach each other', () => ping(a, 'w', onB));

  await loseStore(a);
  await until('it is noticed', async () => (await isReached(b)) === false);
  t.match(await network(b, 'green', '10.77.0.0/24'), { code: 7 }, 'nothing can be agreed on');
  const rebuilt = await weave(b, 'prime', '--rebuild');
  t.match(rebuilt, { code: 0 }, rebuilt.stderr);
  t.match(await network(b, 'green', '10.77.0.0/24'), { code: 0 });
  t.ok(await ping(b, 'x', onA), 'what runs where no daemon does goes on');
  const again = await weave(b, 'prime', '--rebuild');
  t.not(again.code, 0);
  t.match(again.stderr, /store answers\n.*Nothing is lost/);

  await killDaemon(b);
  await b.exec(UNDO_HALF(b));
  await launch(b);
  await until('the directory is lost', async () => (await b.weave('status')).includes('the directory is empty'));
  const rest = await weave(b, 'prime', '--rebuild');
  t.match(rest, { code: 0 }, rest.stderr);
  t.match(await network(b, 'red', '10.79.0.0/24'), { code: 0 }, 'what was killed in between is done');

  await launch(a);
  await until('who comes back finds it', () => knows(a, 'green'));
  await until('and is in it', async () => (await isReached(a)) === true);
  const late = await attach(a, 'y');
  t.not(late, onB);
  await until('they reach each other', () => ping(b, 'x', late));
  t.ok(await ping(b, 'x', onA));
  for (const host of [a, b]) await host.weave('check');
});

/** Nothing comes from that host, nor do answers. */
const CUT_OFF = ({ ip, ip6 }: Host) => `nft add table inet cut
  nft 'add chain inet cut input { type filter hook input priority 0; }'
  nft add rule inet cut input ip saddr ${ip} drop
  nft add rule inet cut input ip6 saddr ${ip6} drop`;

test('what all had is lost, and two begin it anew at once: it is one in the end', async (t) => {
  await launch(c, b.ip);
  await c.weave('prime');
  const onC = await attach(c, 'z');
  await until('they reach each other', () => ping(b, 'x', onC));
  for (const host of lab.hosts) await loseStore(host);
  for (const host of [b, c]) await launch(host);
  await b.exec(CUT_OFF(c));
  const told = await Promise.all([b, c].map((host) => weave(host, 'prime', '--rebuild')));
  for (const { code, stderr } of told) t.equal(code, 0, stderr);
  await b.exec('nft delete table inet cut');
  await until('what is made on one is on the other', async () => {
    await network(b, 'blue', '10.78.0.0/24');
    return (await knows(b, 'blue')) && (await knows(c, 'blue'));
  });
  const added = [await attach(b, 'b2'), await attach(c, 'c2')];
  t.equal(new Set([...added, onC]).size, 3);
  await until('they reach each other', () => ping(b, 'b2', added[1]!));
  await launch(a);
  await until('the third finds it', () => knows(a, 'blue'));
  await until('they reach each other', () => ping(a, 'w', added[1]!));
  for (const host of lab.hosts) await host.weave('check');
});
