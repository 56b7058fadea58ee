import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { isIP } from 'node:net';
import { type Endpoint, fail } from '@weave/core';

const BEGIN = '# created by Weave - BEGIN';
const END = '# created by Weave - END';

/** `name:10.2.1.1` as a line of /etc/hosts. */
export function hostsLine(text: string): string {
  const at = text.indexOf(':');
  const [name, address] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 0 || !/^[\w-]+(\.[\w-]+)*$/.test(name) || isIP(address) === 0)
    fail('WEAVE_INVALID_REQUEST', `${JSON.stringify(text)} is not a name and an address`, {
      hint: 'Write it as name:10.2.1.1 or name:fd00::1',
    });
  return `${address}\t${name}`;
}

/** What a container's attachments say of names. */
export const hostsLines = (endpoints: readonly Endpoint[]): string[] =>
  endpoints.flatMap(({ addresses, hosts }) => [
    ...(hosts?.own ? addresses.map((text) => `${text.split('/')[0]}\t${hosts.own}`) : []),
    ...(hosts?.others ?? []),
  ]);

/**
 * Puts these lines, and no others of ours, before what others wrote into /etc/hosts of the container that `netns` is the
 * namespace of, as the path through a process. It is written in place: the engine has mounted that very file.
 */
export function writeHosts(netns: string, lines: readonly string[]): void {
  const root = netns.replace(/\/ns\/net$/, '/root');
  mustBeEngines(netns.replace(/\/ns\/net$/, '/mountinfo'));
  const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;
  // The container may have put links there, which would lead into the host's files.
  withFile(`${root}/etc`, O_DIRECTORY | O_NOFOLLOW, (directory) =>
    withFile(`/proc/self/fd/${directory}/hosts`, O_RDWR | O_NOFOLLOW | O_NONBLOCK, (file) => {
      if (!fstatSync(file).isFile()) fail('WEAVE_HOSTS_FAILED', '/etc/hosts of the container is not a file');
      const had = readFileSync(file, 'utf8');
      const text = Buffer.from(withLines(had, lines));
      if (text.toString() === had) return;
      writeSync(file, text, 0, text.length, 0);
      ftruncateSync(file, text.length);
    }),
  );
}

/** Before the others: of several addresses that a name has, the first is the one. */
export function withLines(text: string, lines: readonly string[]): string {
  const [begin, end] = [text.indexOf(`${BEGIN}\n`), text.indexOf(`${END}\n`)];
  const others = begin >= 0 && end > begin ? text.slice(0, begin) + text.slice(end + END.length + 1) : text;
  return lines.length > 0 ? `${[BEGIN, ...lines, END].join('\n')}\n${others}` : others;
}

/** What a user mounted there is his own. */
function mustBeEngines(mountinfo: string): void {
  const mounts = readFileSync(mountinfo, 'utf8').split('\n');
  const root = mounts.map((line) => line.split(' ')).findLast((fields) => fields[4] === '/etc/hosts')?.[3];
  if (!root || !/\/containers\/[0-9a-f]{64}\/hosts$/.test(root))
    fail('WEAVE_HOSTS_FAILED', '/etc/hosts of the container is not the engine’s');
}

function withFile(path: string, flags: number, work: (file: number) => void): void {
  const file = openSync(path, flags);
  try {
    work(file);
  } finally {
    closeSync(file);
  }
}
