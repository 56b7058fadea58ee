import {
  cidr,
  createNetwork,
  DEFAULT_NETWORK,
  DEFAULT_SUBNETS,
  fail,
  formatCidr,
  type Network,
  overlaps,
  removeNetwork,
  type State,
  subnet,
} from '@weave/core';
import type { Host } from './host.ts';
import { hostRoutes } from './verbs/pools.ts';

/**
 * Makes the network of `weave attach` where there is none; where others than its subnets are wanted and nothing uses it
 * yet, it is made anew. `given`: one of a family at most. Answers what somebody should know. WEAVE_INVALID_SUBNET,
 * WEAVE_INVALID_OPTION.
 */
export async function provideDefault(host: Host, given: readonly string[], trusted: boolean): Promise<string[]> {
  const { state } = host;
  const wanted = given.map((text) => formatCidr(subnet(text)));
  const subnets = subnetsOf(wanted);
  const existing = state.hasNetworkNamed(DEFAULT_NETWORK) ? state.network(DEFAULT_NETWORK) : undefined;
  if (existing) {
    if (wanted.every((text) => existing.subnets.some((s) => s.cidr === text))) return [];
    const has = `the default network has ${existing.subnets.map((s) => s.cidr).join(' and ')}, not ${wanted.join(' and ')}:`;
    if (state.cluster) return [`${has} so it is on the other hosts`];
    if (!trusted || isUsed(state, existing)) return [`${has} it is in use; weave reset begins anew`];
  }
  const without = state.copy();
  const gone = existing ? removeNetwork(state, existing.id).changes : [];
  without.apply(gone);
  const spec = {
    name: DEFAULT_NETWORK,
    subnets: subnets.map((text) => ({ cidr: text })),
    options: { 'works.weave.gateway': 'none' },
  };
  host.commit([...gone, ...createNetwork(without, spec, { now: host.clock() }).changes]);
  const routes = await hostRoutes(host);
  return subnets.flatMap((text) => {
    const route = routes.find((each) => overlaps(cidr(each), cidr(text)));
    return route
      ? [`containers on the default network (${text}) do not reach ${route}, to which this host has a route`]
      : [];
  });
}

function subnetsOf(wanted: readonly string[]): string[] {
  const families = wanted.map((text) => subnet(text).family);
  if (new Set(families).size < families.length)
    fail('WEAVE_INVALID_OPTION', `${wanted.join(' and ')} are of one family`, { hint: 'Give one of each at most.' });
  return DEFAULT_SUBNETS.map((text) => wanted.find((each) => subnet(each).family === cidr(text).family) ?? text);
}

const isUsed = (state: State, { id, owner, subnets }: Network): boolean =>
  owner !== 'weave' ||
  state.endpointsOf(id).length > 0 ||
  [...state.bindings.values()].some(({ network }) => network === id) ||
  subnets.some(({ pool }) => pool !== undefined && state.poolIndex(pool).taken.size > 0);
