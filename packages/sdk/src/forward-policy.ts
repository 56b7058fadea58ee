import { existsSync, readFileSync } from 'node:fs';
import { run } from './run.ts';

const OURS = /^-A FORWARD (-[io] weave\S*) -m comment --comment weave -j ACCEPT$/;

/**
 * Docker sets the FORWARD policy to DROP, and a drop in one table is final whatever another accepts. So where iptables,
 * in either of its backends, has such a policy, two rules of ours for each of these links come last before it: after all
 * that others refuse. What they let pass, our own table decides on; networks of others, which are bridges, are not
 * reached.
 */
export async function allowForwarding(links: readonly string[]): Promise<void> {
  const wanted = links.flatMap((link) => [`-i ${link}`, `-o ${link}`]);
  for (const command of ['iptables-nft', 'ip6tables-nft', ...legacyInUse()]) {
    const { code, stdout } = await run(command, ['-w', '-S', 'FORWARD']);
    if (code !== 0) continue;
    const lines = stdout.split('\n');
    const there = lines.flatMap((line) => OURS.exec(line)?.[1] ?? []);
    const drops = lines.includes('-P FORWARD DROP');
    const change = (how: '-A' | '-D', match: string) =>
      run(command, [
        ...['-w', how, 'FORWARD', ...match.split(' ')],
        ...['-m', 'comment', '--comment', 'weave', '-j', 'ACCEPT'],
      ]);
    for (const match of wanted) if (drops && !there.includes(match)) await change('-A', match);
    for (const match of there) if (!wanted.includes(match)) await change('-D', match);
  }
}

/** Only asking iptables-legacy would make its tables where nobody uses them. */
function legacyInUse(): string[] {
  const uses = (file: string) => existsSync(file) && readFileSync(file, 'utf8').split('\n').includes('filter');
  return [
    ...(uses('/proc/net/ip_tables_names') ? ['iptables-legacy'] : []),
    ...(uses('/proc/net/ip6_tables_names') ? ['ip6tables-legacy'] : []),
  ];
}
