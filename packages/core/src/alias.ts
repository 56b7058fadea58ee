import { growNetwork } from './grow.ts';
import type { ObservedLink } from './kernel.ts';
import { type Change, DEFAULT_MTU, type Network } from './model.ts';
import { bridgeName } from './names.ts';
import { createNetwork, type SubnetSpec } from './networks.ts';
import type { State } from './state.ts';

/** IFALIASZ, less the terminating zero. */
const ROOM = 255;

/**
 * A network of our own in one line, which its bridge has for an alias: so that the kernel knows it even where the store
 * is lost. `weave blue 10.3.0.0/16,gateway=10.3.0.1 fd00:3::/64 internal mtu=1376`. None where it has no room, or an
 * engine knows the network better.
 */
export function networkAlias(state: State, network: Network): string | undefined {
  if (network.owner !== 'weave') return undefined;
  const subnets = network.subnets.map(({ cidr, gateway, pool }) => {
    const { range, grownFrom } = state.pools.get(pool ?? '') ?? {};
    const from = grownFrom ? [`from=${grownFrom.join('+')}`] : [];
    return [cidr, ...(gateway ? [`gateway=${gateway}`] : []), ...(range ? [`range=${range}`] : []), ...from].join(',');
  });
  const { mtu, autoMtu, multicast, gateway, internal } = network;
  const options = [
    ...(internal ? ['internal'] : []),
    ...(autoMtu || mtu === DEFAULT_MTU ? [] : [`mtu=${mtu}`]),
    ...(multicast ? [] : ['works.weave.multicast=false']),
    ...(gateway === 'engine' ? [] : [`works.weave.gateway=${gateway}`]),
  ];
  const alias = ['weave', network.name, ...subnets, ...options].join(' ');
  return alias.length > ROOM ? undefined : alias;
}

/** The network that a bridge's alias tells of, as changes; none when it tells of none, or of one that is known. */
export function networkOfAlias(state: State, link: ObservedLink): Change[] {
  const [mark, name, ...words] = link.alias?.split(' ') ?? [];
  if (mark !== 'weave' || !name || state.hasNetworkNamed(name)) return [];
  const isSubnet = (word: string) => word.includes('/');
  const options = words.filter((word) => !isSubnet(word) && word !== 'internal').map((word) => word.split('='));
  try {
    const subnets = words.filter(isSubnet).map(subnetOf);
    const { network, changes } = createNetwork(
      state,
      { name, subnets, options: Object.fromEntries(options), internal: words.includes('internal') },
      { now: 0 },
    );
    if (bridgeName(network.id) !== link.name) return [];
    return [...changes, ...grownAgain(state, name, changes, subnets)];
  } catch {
    return []; // whatever it says, we did not write it
  }
}

interface Told extends SubnetSpec {
  /** What it became, in turn. */
  grew: string[];
}

/** As it was made first. */
function subnetOf(word: string): Told {
  const [now = '', ...attributes] = word.split(',');
  const { from, ...rest } = Object.fromEntries(attributes.map((attribute) => attribute.split('=')));
  const [cidr = now, ...grew] = from ? [...from.split('+'), now] : [now];
  return { cidr, ...rest, grew };
}

function grownAgain(state: State, name: string, made: readonly Change[], subnets: readonly Told[]): Change[] {
  const draft = state.copy();
  draft.apply(made);
  return subnets
    .flatMap(({ grew }) => grew)
    .flatMap((text) => {
      const { changes } = growNetwork(draft, name, text, 0);
      draft.apply(changes);
      return changes;
    });
}
