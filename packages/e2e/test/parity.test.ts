import tap, { type Test, test } from 'tap';
import { createLab, type Host } from '../src/index.ts';

/** Tests of Weave 2.8's own that are about what its command prints, said anew: packages/cli/PARITY.md has them all. */
const lab = await createLab({ hosts: 2 });
tap.teardown(() => lab.dispose());
const [a, b] = lab.hosts as [Host, Host];

const API = 'http://127.0.0.1:6784';
const STATUS = 'http://127.0.0.1:6782';

const bare = (host: Host, name: string) =>
  host.docker('run', '-d', '--name', name, '--net', 'none', 'busybox', 'sleep', '3600');

const curl = async (host: Host, ...args: string[]) => {
  const { stdout } = await host.exec(['curl', '-s', '--max-time', '10', '-w', '\n%{http_code}', ...args]);
  const at = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(at + 1)), text: stdout.slice(0, at) };
};

const idOf = (host: Host, container: string) => host.docker('inspect', '--format', '{{.Id}}', container);

const MAC = '[0-9a-f]{2}(:[0-9a-f]{2}){5}';

test('140: launched on the host itself; addresses asked for and handed out are in ps', async (t) => {
  await a.weave('launch', '--local');
  for (const name of ['c1', 'c2']) await bare(a, name);
  t.equal(await a.weave('attach', '10.2.1.4/24', 'c1'), '10.2.1.4');
  t.equal(await a.weave('attach', 'net:default', 'c2'), '10.32.0.1 fd77:6561:7665::1', 'one of each family');
  const lines = (await a.weave('ps')).split('\n');
  t.equal(lines.length, 2);
  for (const [name, address] of [
    ['c1', '10.2.1.4/24'],
    ['c2', '10.32.0.1/12 fd77:6561:7665::1/64'],
  ] as const) {
    const id = (await idOf(a, name)).slice(0, 12);
    t.equal(lines.filter((line) => line.startsWith(`${id} `)).length, 1, 'a line each');
    t.match(await a.weave('ps', id), new RegExp(`^${id} ${MAC} ${address}$`));
    t.match(await a.weave('ps', name), new RegExp(`^${name} ${MAC} ${address}$`), 'called as it was asked for');
  }
  t.equal(await a.weave('ps', 'nosuch'), '');
});

test('500: what attach and detach say is what was asked for, in that order', async (t) => {
  const id = (await idOf(a, 'c1')).slice(0, 12);
  const [x, y] = ['10.2.2.1', '10.2.3.1'];
  t.equal(await a.weave('attach', `${y}/24`, `ip:${x}/24`, 'net:10.32.4.0/24', 'c1'), `${y} ${x} 10.32.4.1`);
  t.match(await a.weave('ps', id), new RegExp(`^${id} ${MAC} 10.2.1.4/24 ${y}/24 ${x}/24 10.32.4.1/24$`));
  t.equal(await a.weave('detach', `${x}/24`, 'net:10.32.4.0/24', 'c1'), `${x} 10.32.4.1`);
  t.equal(await a.weave('detach', 'c1'), `10.2.1.4 ${y}`);
  t.equal(await a.weave('ps', id), '', 'nothing is left of it');
  t.equal(await a.weave('attach', '10.2.1.4/24', 'c1'), '10.2.1.4');
});

const label = (status: string, name: string) => new RegExp(`(?<= ${name}: ).*`).exec(status)?.[0] ?? '';

async function agree(t: Test, host: Host) {
  const status = await host.weave('status');
  const report = (template: string) => host.weave('report', '-f', template);
  t.equal(label(status, 'Name'), await report('{{.Router.Name}}({{.Router.NickName}})'));
  t.equal(label(status, 'Peers').split(' ')[0], await report('{{len .Router.Peers}}'));
  t.equal(label(status, 'Targets'), await report('{{len .Router.Targets}}'));
  t.equal(label(status, 'DefaultSubnet'), await report('{{.IPAM.DefaultSubnet}}'));
  t.equal(label(status, 'Status'), 'ready');
}

test('700: status and report say the same', async (t) => {
  await agree(t, a);
  await b.weave('launch', '--local');
  await b.weave('connect', a.ip);
  await b.weave('prime');
  await bare(b, 'c3');
  const address = await b.weave('attach', 'c3');
  await b.exec(`until docker exec c3 ping -c1 -W1 10.32.0.1; do :; done`, { timeoutMs: 20_000 });
  await a.exec('until weave status connections | grep -q mtu=; do sleep 0.1; done', { timeoutMs: 20_000 });
  for (const host of lab.hosts) await agree(t, host);
  t.match(label(await a.weave('status'), 'Connections'), /^1 \(1 established\)$/);
  const name = await b.weave('report', '-f', '{{.Router.Name}}');
  t.match(await a.weave('status', 'peers'), new RegExp(`^   -> ${b.ip}:6783 +${name}\\(h2\\) +established$`, 'm'));
  t.match(
    await a.weave('status', 'connections'),
    new RegExp(`^-> ${b.ip}:6783 +established fastdp ${name}\\(h2\\) mtu=\\d+`),
  );
  t.equal(await b.weave('status', 'targets'), a.ip);
  const ipam = (await b.weave('status', 'ipam')).split('\n');
  t.match(
    ipam[0],
    new RegExp(`^${name}\\(h2\\) +\\d+ IPs \\(\\d\\d\\.\\d% of total\\) \\(1 active\\)$`),
    'this host first',
  );
  t.match(ipam[1], /\(h1\) +\d+ IPs \(\d\d\.\d% of total\)$/);
  t.match((await b.weave('ps', 'c3')).split(' ').slice(2), [`${address.split(' ')[0]}/12`]);
});

test('150: targets are added, replaced and forgotten', async (t) => {
  const targets = () => b.weave('report', '-f', '{{range .Router.Targets}}{{.}} {{end}}');
  t.equal(await targets(), a.ip);
  await b.exec(['curl', '-s', '-d', 'peer=10.2.2.1', `${API}/connect`]);
  t.equal(await targets(), `${a.ip} 10.2.2.1`, 'also who does not answer');
  t.match(await b.weave('status', 'connections'), /^-> 10\.2\.2\.1:6783 +(retrying|connecting)/m);
  await b.weave('forget', '10.2.2.1');
  t.equal(await targets(), a.ip);
  t.notMatch(await b.weave('status', 'connections'), '10.2.2.1');
  await b.weave('forget', '10.2.2.1');
  await b.weave('connect', '--replace', a.ip6);
  t.equal(await targets(), a.ip6, 'those of before are replaced');
  await b.weave('forget', a.ip6);
  await b.weave('stop');
  await b.weave('launch', '--local');
  t.equal(await targets(), '', 'and stay forgotten');
});

test('the HTTP API of 2.8', async (t) => {
  for (const at of [API, STATUS]) {
    t.match(await curl(a, `${at}/status`), { status: 200, text: await a.weave('status') });
    t.match(await curl(a, `${at}/report?format={{.Router.NickName}}`, '-g'), { status: 200, text: 'h1' });
    t.match(await curl(a, `${at}/metrics`), { status: 200, text: /^weave_ips\{state="local-used"\} 1$/m });
    t.match(await curl(a, '-H', 'Host: evil.example', `${at}/status`), { status: 403 }, 'a name that somebody chose');
    t.match(await curl(a, '-H', 'Origin: http://evil.example', `${at}/status`), { status: 403 }, 'a web page');
  }
  t.match(await curl(a, `${API}/ip/${await idOf(a, 'c2')}`), { status: 200, text: /^10\.32\.0\.1\/12/ });
  t.match(await curl(a, '-X', 'DELETE', `${API}/peer/nosuch`), { status: 200, text: '0 IPs taken over from nosuch' });
  t.match(await curl(a, '-X', 'POST', `${STATUS}/connect?peer=10.2.2.1`), { status: 404 });
  t.match(await curl(a, '-X', 'POST', `${API}/connect`), { status: 400 });
  t.match(await curl(a, '-X', 'POST', `${API}/expose`), { status: 404 });
});

/** Somebody else on 127.0.0.1, who says the same to everybody. */
async function listen(t: Test, host: Host, port: number): Promise<void> {
  const script = `require('net').createServer((socket) => socket.end('anybody')).listen(${port}, '127.0.0.1')`;
  const child = host.spawn([process.execPath, '-e', script], { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  await host.exec(`until ss -ltn | grep -q :${port}; do sleep 0.05; done`, { timeoutMs: 10_000 });
}

test('containers do not reach it', async (t) => {
  await a.docker(
    'network',
    'create',
    '-d',
    'weave',
    '--ipam-driver',
    'weave',
    '-o',
    'works.weave.gateway=weave',
    'own',
  );
  const gateway = await a.docker('network', 'inspect', '--format', '{{(index .IPAM.Config 0).Gateway}}', 'own');
  await a.docker('run', '-d', '--name', 'in-own', '--net', 'own', 'busybox', 'sleep', '3600');
  await a.docker('run', '-d', '--name', 'in-bridge', ...ROUTING, 'busybox', 'sleep', '3600');
  const tries = async (container: string, host: string, port: number) => {
    const command = `{ printf 'GET /status HTTP/1.0\\r\\n\\r\\n'; sleep 1; } | nc -w 2 ${host} ${port}`;
    return (await a.exec(['docker', 'exec', container, 'sh', '-c', command], { allowFail: true })).stdout;
  };
  const docker0 = (await a.exec("ip -4 -o addr show docker0 | awk '{print $4}' | cut -d/ -f1")).stdout.trim();
  const places = [
    ['in-own', gateway],
    ['in-own', a.ip],
    ['in-bridge', docker0],
    ['in-bridge', a.ip],
  ] as const;
  for (const [container, host] of places)
    for (const port of [6782, 6784]) {
      t.equal(await tries(container, host, port), '', `${container} on ${host}:${port}`);
    }
  // As others have it set: the kernel takes packets for 127.0.0.1 from outside.
  await a.exec('sysctl -qw net.ipv4.conf.docker0.route_localnet=1');
  await a.docker(
    'exec',
    'in-bridge',
    'sh',
    '-c',
    `ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via ${docker0}`,
  );
  await listen(t, a, 6780);
  const reached = await a.exec(['docker', 'exec', 'in-bridge', 'nc', '-w', '2', '127.0.0.1', '6780'], {
    allowFail: true,
  });
  t.equal(reached.stdout, 'anybody', 'whoever listens there is reached');
  for (const port of [6782, 6784]) {
    t.equal(await tries('in-bridge', '127.0.0.1', port), '', `but not weave, on port ${port}`);
  }
});

const ROUTING = ['--cap-add', 'NET_ADMIN', '--sysctl', 'net.ipv4.conf.all.route_localnet=1'];

test('where it listens is chosen', async (t) => {
  const relaunch = async (...args: string[]) => {
    await a.weave('stop');
    await a.weave('launch', '--local', ...args);
  };
  const listening = async () => (await a.exec('ss -Hltn sport = :6782 or sport = :6784')).stdout.trim();
  t.match(await listening(), /127\.0\.0\.1:678/);
  await relaunch('--http-addr', '/run/weave/http.sock', '--status-addr', '');
  t.equal(await listening(), '');
  t.match(await curl(a, '--unix-socket', '/run/weave/http.sock', 'http://weave/status'), { status: 200 });
  t.match((await a.exec('stat -c %a /run/weave/http.sock')).stdout, '660');
  await a.weave('stop');
  await listen(t, a, 6784);
  const refused = await a.exec(['weave', 'launch', '--local'], { allowFail: true });
  t.match(refused, { code: 1, stderr: /somebody listens on 127\.0\.0\.1:6784 already/ });
  const nonsense = await a.exec(['weave', 'launch', '--local', '--http-addr', 'here'], { allowFail: true });
  t.match(nonsense.stderr, /here is no address to listen on/);
  await a.weave('launch', '--local', '--http-addr', 'off');
  t.match(await curl(a, `${STATUS}/status`), { status: 200 });
});
