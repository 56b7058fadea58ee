import { isIP } from 'node:net';
import { formatCidr, parseAddressRequest, type Target, WeaveError } from '@weave/sdk/client';
import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { collect, examples, networkOption } from '../options.ts';
import { print } from '../output.ts';

interface Options extends CommonOptions {
  network?: string;
}

interface AttachCliOptions extends Options {
  multicastRoute: boolean;
  rewriteHosts?: boolean;
  addHost?: string[];
  withoutDns?: boolean;
}

const WORDS = '[addr...] <container>';
const HELP = `
Addresses:
  10.2.1.1/24, fd00:2::1/64   exactly this one (also ip:10.2.1.1/24)
  net:10.32.5.0/24            the next free one of this subnet
  net:default, or none        the next free one of each family of the network

The container is a name or id, pid:<process id>, or the path of a network namespace.
`;
const DETACH_HELP = `
Addresses:
  10.2.1.1/24, fd00:2::1/64   this one (also ip:10.2.1.1/24)
  net:10.32.5.0/24            all that it has of this subnet
  net:default                 all that it has of the network

The container is a name or id, pid:<process id>, or the path of a network namespace.
`;

export const attachCommand = (): Command =>
  command(
    'attach',
    'give a running container an interface on a network',
    'on this network, over an interface of its own',
  )
    .option('--rewrite-hosts', 'in its /etc/hosts its own name is its address here')
    .option('--add-host <name:ip>', 'give its /etc/hosts this too; may be given several times', collect)
    .option('--no-multicast-route', 'no route for 224.0.0.0/4 over this interface')
    .option('--without-dns', 'do not register its name')
    .addHelpText('after', HELP)
    .addHelpText(
      'after',
      examples('weave attach web', 'weave attach 10.2.1.1/24 fd00:2::1/64 web', 'weave attach --network blue pid:4711'),
    )
    .action(
      async (
        words: string[],
        { network, multicastRoute, rewriteHosts, addHost, withoutDns, ...options }: AttachCliOptions,
      ) => {
        const { target, addresses } = parseWords(words);
        const multicast = multicastRoute ? undefined : false;
        const settings = { network, multicast, rewriteHosts, addHosts: addHost, withoutDns };
        const attachment = await withDaemon(options, (weave) => weave.attach(target, addresses, settings));
        print(attachment, options.json, ({ addresses: got }) => withoutPrefix(got));
      },
    );

export const detachCommand = (): Command =>
  command('detach', 'take addresses of a container away, by default all', 'from its interface on this network')
    .addHelpText('after', DETACH_HELP)
    .addHelpText('after', examples('weave detach web', 'weave detach 10.2.1.1/24 web'))
    .action(async (words: string[], { network, ...options }: Options) => {
      const { target, addresses } = parseWords(words);
      const removed = await withDaemon(options, (weave) => weave.detach(target, addresses, { network }));
      print({ addresses: removed }, options.json, () => withoutPrefix(echoed(addresses, removed)));
    });

const command = (name: string, description: string, where: string) =>
  daemonClient(name)
    .description(description)
    .usage(`[options] ${WORDS}`)
    .argument('<words...>')
    .addOption(networkOption(`${where}, instead of the default one`));

/** As Weave prints what it took away: what was named is named, whether it was there or not. */
export function echoed(asked: readonly string[], removed: readonly string[]): string[] {
  const named = asked.filter((word) => !word.startsWith('net:')).map(canonical);
  const others = removed.filter((text) => !named.includes(text));
  const first = asked.findIndex((word) => word.startsWith('net:'));
  return asked.length === 0 ? others : named.toSpliced(first < 0 ? named.length : first, 0, ...others);
}

/** As it is kept, whichever way it was written. */
function canonical(word: string): string {
  const request = parseAddressRequest(word);
  return request.kind === 'exact' ? formatCidr(request.cidr) : word;
}

/** As Weave prints them. */
export const withoutPrefix = (addresses: readonly string[]) => addresses.map((text) => text.split('/')[0]).join(' ');

/** No container has a name like these; what is wrong with one is said when it is parsed. */
export const isAddress = (word: string) => isIP(word) > 0 || (/[:/]/.test(word) && !/^(\/|pid:)/.test(word));

/** Addresses and the container, in any order: the container is the last word that is no address. */
export function parseWords(words: readonly string[]): { target: Target; addresses: string[] } {
  const at = words.findLastIndex((word) => !isAddress(word));
  if (at < 0)
    throw new WeaveError('WEAVE_INVALID_REQUEST', 'no container is named', {
      hint: 'Name one after the addresses: weave attach 10.2.1.1/24 web',
    });
  return { target: parseTarget(words[at]!), addresses: words.toSpliced(at, 1) };
}

function parseTarget(word: string): Target {
  if (word.startsWith('/')) return { netns: word };
  const pid = /^pid:([1-9]\d{0,9})$/.exec(word)?.[1];
  return pid ? { pid: Number(pid) } : { container: word };
}
