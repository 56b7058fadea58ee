import { isIP } from 'node:net';
import { type Target, WeaveError } from '@weave/sdk/client';
import type { Command } from 'commander';
import { type CommonOptions, daemonClient, withDaemon } from '../client.ts';
import { examples, networkOption } from '../options.ts';
import { print } from '../output.ts';

interface Options extends CommonOptions {
  network?: string;
}

const WORDS = '[addr...] <container>';
const HELP = `
Addresses:
  10.2.1.1/24, fd00:2::1/64   exactly this one (also ip:10.2.1.1/24)
  net:10.32.5.0/24            the next free one of this subnet
  net:default, or none        the next free one of each family of the network

The container is a name or id, pid:<process id>, or the path of a network namespace.
`;

export const attachCommand = (): Command =>
  command('attach', 'give a running container an interface on a network')
    .addHelpText('after', HELP)
    .addHelpText(
      'after',
      examples('weave attach web', 'weave attach 10.2.1.1/24 fd00:2::1/64 web', 'weave attach --network blue pid:4711'),
    )
    .action(async (words: string[], options: Options) => {
      const { target, addresses } = parseWords(words);
      const attachment = await withDaemon(options, (weave) => weave.attach(target, addresses, options));
      print(attachment, options.json, ({ addresses: got }) => withoutPrefix(got));
    });

export const detachCommand = (): Command =>
  command('detach', 'take addresses of a container away, by default all')
    .addHelpText('after', HELP)
    .addHelpText('after', examples('weave detach web', 'weave detach 10.2.1.1/24 web'))
    .action(async (words: string[], options: Options) => {
      const { target, addresses } = parseWords(words);
      const removed = await withDaemon(options, (weave) => weave.detach(target, addresses, options));
      print({ addresses: removed }, options.json, ({ addresses: gone }) => withoutPrefix(gone));
    });

const command = (name: string, description: string) =>
  daemonClient(name)
    .description(description)
    .usage(`[options] ${WORDS}`)
    .argument('<words...>')
    .addOption(networkOption('on this network instead of the default one, over an interface of its own'));

/** As Weave prints them. */
const withoutPrefix = (addresses: readonly string[]) => addresses.map((text) => text.split('/')[0]).join(' ');

/** No container has a name like these; what is wrong with one is said when it is parsed. */
const isAddress = (word: string) => isIP(word) > 0 || (/[:/]/.test(word) && !/^(\/|pid:)/.test(word));

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
