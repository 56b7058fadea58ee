import { formatAddress, parseAddress } from './address.ts';
import { fail } from './errors.ts';
import { type Change, type ContainerRef, type Endpoint, type Name, nameId, type Service } from './model.ts';
import type { State } from './state.ts';

/** Names: what may be one, what a container is called, and what was added by hand. */

/** Letters, digits and hyphens, and underscores, as names of containers have them. */
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
const ASCII = /^[!-~]+$/;
/** As text; on the wire each is 255 bytes. */
const NAME_LENGTH = 253;
/** So many of each has an endpoint at most: who starts a container shall not fill the others' memory. */
export const MOST_NAMES = 100;

function plain(text: string): string | undefined {
  // First: of what is not ASCII some letters have others for their lower case.
  if (!ASCII.test(text)) return undefined;
  const name = text.toLowerCase().replace(/\.$/, '');
  return name.length <= NAME_LENGTH && name.split('.').every((label) => LABEL.test(label)) ? name : undefined;
}

/** A domain as it is kept. WEAVE_INVALID_OPTION. */
export const domainOf = (text: string): string =>
  plain(text) ??
  fail('WEAVE_INVALID_OPTION', `${JSON.stringify(text)} is not a domain`, {
    hint: 'Labels have up to 63 letters, digits and hyphens, such as weave.local.',
  });

/** A name as it is kept: one label, or below the domain. Undefined where it is neither. */
export function nameIn(domain: string, text: string): string | undefined {
  const name = plain(text);
  if (name === undefined || name.endsWith(`.${domain}`)) return name;
  return name.includes('.') ? undefined : plain(`${name}.${domain}`);
}

/** What an engine tells of a container by which it can be called. */
export interface NamedContainer extends ContainerRef {
  /** As it calls itself, with its domain. */
  hostname?: string | undefined;
  /** By the engine's endpoint: what its network calls it beside its name. */
  aliases?: Readonly<Record<string, readonly string[]>> | undefined;
  services?: readonly Service[] | undefined;
}

/** What a container is called where it is reached by the endpoint `id`. */
export function namesOf(domain: string | undefined, { name, hostname = '', aliases }: NamedContainer, id?: string) {
  if (domain === undefined) return [];
  const relative = [name, ...((id && aliases?.[id]) || [])];
  const called = [
    ...(hostname.includes('.') ? [hostname] : []),
    ...relative.map((text) => (text.toLowerCase().endsWith(`.${domain}`) ? text : `${text}.${domain}`)),
  ];
  return [...new Set(called.flatMap((text) => nameIn(domain, text) ?? []))].slice(0, MOST_NAMES);
}

/** What an endpoint's record says of how its container is called. */
export function naming(
  domain: string | undefined,
  container: NamedContainer,
  id?: string,
): Pick<Endpoint, 'names' | 'services'> {
  const names = namesOf(domain, container, id);
  const services = domain === undefined ? [] : (container.services ?? []).slice(0, MOST_NAMES);
  return { ...(names.length > 0 ? { names } : {}), ...(services.length > 0 ? { services } : {}) };
}

/** The container of an attachment, and how that is called, unless it is not to be. */
export function whoIsThere(
  state: State,
  current: Endpoint | undefined,
  { id, container, isUnnamed }: { id: string; container?: NamedContainer | undefined; isUnnamed?: boolean | undefined },
): Who {
  // A namespace may be shared: it stays its first container's.
  const stays = current?.sandbox?.kind === 'netns' && current.sandbox.id === id && current.container !== undefined;
  const who = stays || !container ? recordedOf(current) : namedAs(state, container);
  return isUnnamed || current?.names?.length === 0 ? { ...who, names: [] } : who;
}

type Who = Pick<Endpoint, 'container' | 'names' | 'services'>;

const namedAs = ({ domain }: State, container: NamedContainer): Who => ({
  container: { id: container.id, name: container.name },
  ...naming(domain, container),
});

const recordedOf = ({ container, names, services }: Who = {}): Who => ({
  ...(container ? { container } : {}),
  ...(names ? { names } : {}),
  ...(services ? { services } : {}),
});

export interface NameSpec {
  name: string;
  addresses: readonly string[];
  /** The id of the container with which it goes. */
  container?: string | undefined;
}

const mustHaveDomain = ({ domain }: State): string =>
  domain ?? fail('WEAVE_NO_DNS', 'this host was started without names');

/** Gives a name to addresses. WEAVE_NO_DNS, WEAVE_INVALID_NAME, WEAVE_INVALID_ADDRESS. */
export function addName(state: State, { name: text, addresses, container }: NameSpec): Change[] {
  const domain = mustHaveDomain(state);
  const name =
    nameIn(domain, text) ??
    fail('WEAVE_INVALID_NAME', `${JSON.stringify(text)} is not a name in ${domain}`, {
      hint: `Names are one label, or end in .${domain}; labels hold letters, digits, "-" and "_".`,
    });
  return addresses.map((address): Change => {
    const record: Name = {
      peer: state.self,
      name,
      address: plainAddress(address),
      ...(container ? { container } : {}),
    };
    return { table: 'name', id: nameId(record), record };
  });
}

type Wanted = { [K in keyof NameSpec]?: NameSpec[K] | undefined };

/** Takes names back that were added on this host, of whichever of these is said. */
export function removeNames(state: State, { name: text, addresses, container }: Wanted): Change[] {
  const domain = mustHaveDomain(state);
  const name = text === undefined ? undefined : (nameIn(domain, text) ?? '');
  const those = addresses?.map(plainAddress);
  return [...state.names]
    .filter(([, each]) => each.peer === state.self)
    .filter(([, each]) => (name ?? each.name) === each.name && (container ?? each.container) === each.container)
    .filter(([, each]) => those === undefined || those.includes(each.address))
    .map(([id]) => ({ table: 'name', id, record: null }));
}

function plainAddress(text: string): string {
  const parsed = parseAddress(text.replace(/\/\d+$/, ''));
  return parsed ? formatAddress(parsed) : fail('WEAVE_INVALID_ADDRESS', `${text} is not an address`);
}
