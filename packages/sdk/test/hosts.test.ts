import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { hostsLine, hostsLines, withLines, writeHosts } from '../src/hosts.ts';

const THEIRS = '127.0.0.1\tlocalhost\n172.17.0.2\tc1\n';

t.test('a block of our own, before all else', async (t) => {
  const once = withLines(THEIRS, ['10.2.1.1\tc1']);
  t.equal(once, `# created by Weave - BEGIN\n10.2.1.1\tc1\n# created by Weave - END\n${THEIRS}`);
  t.equal(withLines(once, ['10.2.1.1\tc1']), once, 'twice is once');
  t.equal(withLines(`192.0.2.1\tx\n${once}`, []), `192.0.2.1\tx\n${THEIRS}`, 'gone again, wherever it is');
  for (const odd of ['', '# created by Weave - BEGIN\n', '# created by Weave - END\n# created by Weave - BEGIN\n'])
    t.ok(withLines(odd, ['10.2.1.1\tc1']).endsWith(odd), 'half a block is somebody else’s');
});

t.test('lines', async (t) => {
  t.equal(hostsLine('db-1.example:10.2.1.9'), '10.2.1.9\tdb-1.example');
  t.equal(hostsLine('six:fd00::6'), 'fd00::6\tsix');
  for (const bad of ['', 'db', 'db:', ':10.2.1.1', 'a b:10.2.1.1', 'a\n:10.2.1.1', '.a:10.2.1.1', 'a:10.2.1.1\n'])
    t.throws(() => hostsLine(bad), { code: 'WEAVE_INVALID_REQUEST' }, JSON.stringify(bad));
  const base = { id: 'e', network: 'n', peer: 'p', mac: 'm', owner: 'weave' } as const;
  const hosts = { own: 'c1.example c1', others: ['10.2.1.9\tdb'] };
  t.strictSame(
    hostsLines([
      { ...base, addresses: ['10.2.1.1/24', 'fd00::1/64'], hosts },
      { ...base, addresses: ['10.3.1.1/24'] },
    ]),
    ['10.2.1.1\tc1.example c1', 'fd00::1\tc1.example c1', '10.2.1.9\tdb'],
  );
});

/** What is seen of a process below /proc. */
function processOf(t: Test, mountpoint = '/etc/hosts') {
  const dir = mkdtempSync(join(tmpdir(), 'weave-hosts-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  mkdirSync(join(dir, 'root'));
  const source = `/var/lib/docker/containers/${'a'.repeat(64)}/hosts`;
  writeFileSync(join(dir, 'mountinfo'), `1 2 8:1 / / rw - ext4 x rw\n9 1 8:1 ${source} ${mountpoint} rw - ext4 x rw\n`);
  const victim = join(dir, 'victim');
  mkdirSync(victim);
  writeFileSync(join(victim, 'hosts'), THEIRS);
  return { dir, victim, netns: join(dir, 'ns/net'), root: join(dir, 'root') };
}

const refused = (t: Test, netns: string, what: string) => t.throws(() => writeHosts(netns, ['10.2.1.1\tc1']), what);

t.test('in place', async (t) => {
  const { netns, root } = processOf(t);
  mkdirSync(join(root, 'etc'));
  const file = join(root, 'etc/hosts');
  writeFileSync(file, THEIRS);
  const { ino } = statSync(file);
  writeHosts(netns, ['10.2.1.1\tc1', '10.2.1.2\tc1']);
  t.equal(readFileSync(file, 'utf8'), withLines(THEIRS, ['10.2.1.1\tc1', '10.2.1.2\tc1']));
  writeHosts(netns, []);
  t.equal(readFileSync(file, 'utf8'), THEIRS, 'shorter again');
  t.equal(statSync(file).ino, ino);
});

t.test('never through what the container put there', async (t) => {
  const linked = processOf(t);
  symlinkSync(linked.victim, join(linked.root, 'etc'));
  refused(t, linked.netns, '/etc is a link');
  t.equal(readFileSync(join(linked.victim, 'hosts'), 'utf8'), THEIRS);

  const file = processOf(t);
  mkdirSync(join(file.root, 'etc'));
  symlinkSync(join(file.victim, 'hosts'), join(file.root, 'etc/hosts'));
  refused(t, file.netns, '/etc/hosts is a link');
  t.equal(readFileSync(join(file.victim, 'hosts'), 'utf8'), THEIRS);

  const pipe = processOf(t);
  mkdirSync(join(pipe.root, 'etc'));
  execFileSync('mkfifo', [join(pipe.root, 'etc/hosts')]);
  refused(t, pipe.netns, 'a pipe, which nobody reads');

  const elsewhere = processOf(t, '/elsewhere/hosts');
  mkdirSync(join(elsewhere.root, 'etc'));
  writeFileSync(join(elsewhere.root, 'etc/hosts'), THEIRS);
  t.throws(() => writeHosts(elsewhere.netns, ['10.2.1.1\tc1']), { code: 'WEAVE_HOSTS_FAILED' }, 'not the engine’s');
  t.equal(readFileSync(join(elsewhere.root, 'etc/hosts'), 'utf8'), THEIRS);
});
