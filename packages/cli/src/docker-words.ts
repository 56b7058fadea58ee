import { WeaveError } from '@weave/sdk/client';

/** Options of `docker run` that take no word after them; all others do. */
const ALONE = new Set([
  ...['--detach', '--disable-content-trust', '--help', '--init', '--interactive', '--no-healthcheck'],
  ...['--oom-kill-disable', '--privileged', '--publish-all', '--quiet', '--read-only', '--rm', '--sig-proxy'],
  ...['--tty', '--use-api-socket'],
]);
const SHORT_ALONE = 'ditPq';
const OFF = ['0', 'f', 'F', 'false', 'False', 'FALSE'];

export interface DockerRun {
  /** All of it but what asks for an init process, or not. */
  words: string[];
  /** Those up to the image. */
  options: string[];
  /** Of another container it has the network namespace. */
  isShared: boolean;
  /** Its /etc/hosts too. */
  isReadOnly: boolean;
  init: boolean;
  detached: boolean;
  /** Where the client shall write the container's id. */
  cidfile?: string;
}

interface Option {
  name: string;
  value: string | undefined;
  /** Words that it is made of. */
  size: number;
}

/** What `weave run` has to know of the arguments of a `docker run`. WEAVE_INVALID_REQUEST where it cannot be held. */
export function parseDockerRun(words: readonly string[]): DockerRun {
  const options = optionsOf(words);
  for (const { name, value } of options) refuse(name, value);
  const last = (...names: string[]) => options.findLast(({ name }) => names.includes(name));
  const isOn = (option: Option | undefined) => option !== undefined && !OFF.includes(option.value ?? '');
  const cidfile = last('--cidfile')?.value;
  return {
    words: withoutInit(words, options),
    options: words.slice(0, sizeOf(options)),
    isShared: options.some(({ name, value }) => isNetwork(name) && value?.startsWith('container:')),
    isReadOnly: isOn(last('--read-only')),
    init: isOn(last('--init')),
    detached: isOn(last('--detach', '-d')),
    ...(cidfile ? { cidfile } : {}),
  };
}

export const isNetwork = (name: string) => name === '--net' || name === '--network';

const sizeOf = (options: readonly Option[]) => options.reduce((sum, { size }) => sum + size, 0);

/** Up to the image. */
export function optionsOf(words: readonly string[]): Option[] {
  const options: Option[] = [];
  for (let at = 0; at < words.length && words[at]!.startsWith('-') && words[at] !== '--'; ) {
    const found = words[at]!.startsWith('--') ? long(words[at]!, words[at + 1]) : short(words[at]!, words[at + 1]);
    options.push(...found);
    at += sizeOf(found);
  }
  return options;
}

function long(word: string, next: string | undefined): Option[] {
  const [, name = word, value] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
  if (value !== undefined || ALONE.has(name)) return [{ name, value, size: 1 }];
  return [{ name, value: next, size: 2 }];
}

/** `-dit`, `-v /a:/b`, `-itv/a:/b`. */
function short(word: string, next: string | undefined): Option[] {
  const options: Option[] = [];
  for (let at = 1; at < word.length; at++) {
    const name = `-${word[at]}`;
    if (!SHORT_ALONE.includes(word[at]!)) {
      const rest = word.slice(at + 1);
      return [...options, { name, value: rest || next, size: rest ? 1 : 2 }];
    }
    options.push({ name, value: undefined, size: 0 });
  }
  return [...options.slice(0, -1), { ...(options.at(-1) ?? { name: word, value: undefined }), size: 1 }];
}

function refuse(name: string, value: string | undefined): void {
  const isElsewhere = value === 'host' || value?.startsWith('container:');
  if (isNetwork(name) && value === 'host')
    throw new WeaveError(
      'WEAVE_HOST_NETWORK',
      'a container in the host network namespace cannot be connected to weave',
    );
  if (name === '--pid' && isElsewhere)
    throw new WeaveError('WEAVE_INVALID_REQUEST', `weave run cannot hold back a process in the namespace of ${value}`, {
      hint: 'Start it with docker run, then: weave attach',
    });
}

function withoutInit(words: readonly string[], options: readonly Option[]): string[] {
  const left = [...words];
  let at = sizeOf(options);
  for (const { name, size } of options.toReversed()) {
    at -= size;
    if (name === '--init') left.splice(at, size);
  }
  return left;
}
