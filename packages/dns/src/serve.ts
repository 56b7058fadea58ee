import { type DnsChanges, type DnsQuestion, DnsServer, dnsFailure, dnsQualify } from '@weave/native';
import { WeaveError } from '@weave/sdk';
import { dnsError } from './error.ts';
import { startForwarder } from './forwarder.ts';
import type { Changes, Listen, Names, NamesOptions, Records } from './types.ts';
import { readUpstreams } from './upstreams.ts';

const DOMAIN = 'weave.local.';
const PORT = 53;
/** RFC 2181 §8. */
const LONGEST_TTL = 0x7fff_ffff;

/** Opens the sockets; rejects with WEAVE_… when an address cannot be had. */
export async function serveNames(options: NamesOptions): Promise<Names> {
  const { domain = DOMAIN, ttl = 1, warn = () => {} } = options;
  const listen = options.listen.map(({ netns = 'host', address, port = PORT }) => ({ netns, address, port }));
  mustBeWhole('ttl', ttl, LONGEST_TTL);
  for (const { port } of listen) mustBeWhole('port', port, 0xffff);
  const upstreams = readUpstreams({
    path: options.resolvConf ?? '/etc/resolv.conf',
    own: [...(options.own ?? []), ...inHost(listen)],
    warn,
  });
  const forwarder = startForwarder({ ...options, upstreams, warn });
  const asked = async ({ id, packet, tcp }: DnsQuestion) =>
    server.answer(id, await forwarder.answer(packet, tcp).catch(() => dnsFailure(packet)));
  const localFirst = options.order === 'local-first';
  const server = attempt(() =>
    DnsServer.start({ listen, domain, ttl, localFirst }, (question) => void asked(question)),
  );

  const close = async () => {
    server.close();
    forwarder.close();
  };
  const update = (changes: Changes, everythingGone: boolean) =>
    attempt(() => server.update(asNative(changes, everythingGone)));
  return {
    domain: `${domain.toLowerCase().replace(/\.$/, '')}.`,
    listening: server.listening(),
    update: (changes) => update(changes, false),
    replace: (records: Records) => update(records, true),
    lookup: (name, asker) => attempt(() => server.lookup(name, asker)),
    stats: () => server.counts(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A name as the server would have it (`web.weave.local.`), or undefined when it can be no name of the domain. */
export const qualify = (name: string, domain: string): string | undefined => dnsQualify(name, domain) ?? undefined;

function mustBeWhole(name: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 0 || value > most)
    throw new WeaveError('WEAVE_INVALID_OPTION', `${name} is ${value}, and has to be a whole number up to ${most}`);
}

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw dnsError(error);
  }
}

/** Where an upstream would be this server. */
const inHost = (listen: readonly Required<Listen>[]) =>
  listen.filter(({ netns, port }) => netns === 'host' && port === PORT).map(({ address }) => address);

function asNative({ gone = {}, networks = [], names = [], askers = [] }: Changes, everythingGone: boolean): DnsChanges {
  const changes = {
    everythingGone,
    networksGone: gone.networks ?? [],
    namesGone: gone.names ?? [],
    askersGone: gone.askers ?? [],
    networks,
    names,
    askers,
  };
  // It reads, and changes nothing: what it was handed may be readonly.
  return changes as DnsChanges;
}
