import {
  addName,
  type Change,
  type Endpoint,
  fail,
  type Name,
  nameIn,
  removeNames,
  type State,
  unnameEndpoint,
} from '@weave/core';
import type { Company } from '../company.ts';
import type { Engine } from '../engine.ts';
import type { Host } from '../host.ts';
import type { EngineContainer, NameEntry, NameTarget, Weave } from '../weave.ts';

export function nameVerbs(host: Host, company: Company, engine: Engine): Weave['names'] {
  const { state } = host;
  const isHeard = (peer: string) => peer === state.self || (company.cluster?.isHeard(peer) ?? true);

  async function list({ of }: { of?: string | undefined } = {}): Promise<NameEntry[]> {
    const endpoints = of === undefined ? state.endpoints.values() : one(state.endpoints.get(of));
    const names = of === undefined ? state.names : one(state.names.get(of)).map((each) => [of, each] as const);
    const all = [...[...endpoints].flatMap(entriesOf(state)), ...[...names].map(entryOf)];
    // Other hosts, and this one before it was started anew, may have another domain.
    const isOurs = ({ name }: NameEntry) => state.domain !== undefined && name.endsWith(`.${state.domain}`);
    return all.filter((entry) => isHeard(entry.peer) && isOurs(entry));
  }

  /** The container that is meant, and the addresses: those that were said, or all that it has. */
  async function resolve({ container: word, addresses }: NameTarget) {
    const container = word === undefined ? undefined : await engine.container(word);
    if (addresses) return { container, addresses };
    if (!container) return fail('WEAVE_INVALID_REQUEST', 'neither a container nor an address is named');
    return { container, addresses: state.endpointsIn(container.id).flatMap((e) => e.addresses) };
  }

  return {
    list,
    async add(target) {
      const { container, addresses } = await resolve(target);
      if (container?.pid === 0) fail('WEAVE_NOT_RUNNING', `container ${container.name} is not running`);
      if (addresses.length === 0)
        fail('WEAVE_ENDPOINT_NOT_FOUND', `container ${container?.name} has no address on a weave network`);
      const name = target.name ?? ownName(state, container);
      host.commit(addName(state, { name, addresses, container: container?.id }));
    },
    async remove(target) {
      const { container, addresses } = await resolve(target);
      const { name } = target;
      const given = removeNames(state, { name, addresses });
      const gone = name === undefined ? endpointsAt(state, addresses, container).flatMap(unname) : [];
      host.commit([...given, ...gone]);
    },
    async lookup(text) {
      const name = state.domain === undefined ? undefined : nameIn(state.domain, text);
      const found = (await list()).filter((each) => each.name === name);
      const [here, there] = [true, false].map((is) => found.filter(({ peer }) => (peer === state.self) === is));
      return [...new Set([...here!, ...there!].flatMap((each) => each.addresses))];
    },
  };

  function unname({ id }: Endpoint): Change[] {
    return unnameEndpoint(state, id, { forGood: true });
  }
}

const one = <T>(found: T | undefined): T[] => (found === undefined ? [] : [found]);

const entriesOf =
  (state: State) =>
  ({ id, names = [], addresses, network, peer, container, services, sandbox }: Endpoint): NameEntry[] =>
    peer === state.self && !sandbox
      ? []
      : names.map((name) => ({
          ...{ id: `${id}/${name}`, name, addresses: addresses.map(withoutLength), network, peer },
          ...(container ? { container: container.id } : {}),
          ...(services ? { services } : {}),
        }));

const entryOf = ([id, { name, address, peer, container }]: readonly [string, Name]): NameEntry => ({
  ...{ id, name, addresses: [address], peer },
  ...(container ? { container } : {}),
});

const withoutLength = (text: string): string => text.replace(/\/\d+$/, '');

/** As it calls itself. */
function ownName({ domain = '' }: State, container: EngineContainer | undefined): string {
  const { hostname = '', name = '' } = container ?? {};
  if (hostname.includes('.')) return hostname;
  return fail(
    'WEAVE_INVALID_NAME',
    container ? `container ${name} has no name in ${domain} of its own` : 'no name is given',
    {
      hint: 'Give one with -h.',
    },
  );
}

/** This host's endpoints that have one of these addresses; of one container, where that is said. */
const endpointsAt = (
  state: State,
  addresses: readonly string[],
  container: EngineContainer | undefined,
): Endpoint[] => {
  const those = new Set(addresses.map(withoutLength));
  const all = container ? state.endpointsIn(container.id) : [...state.endpoints.values()];
  return all.filter((e) => e.peer === state.self && e.addresses.some((text) => those.has(withoutLength(text))));
};
