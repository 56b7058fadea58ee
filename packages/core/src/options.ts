import { fail } from './errors.ts';
import { DEFAULT_MTU, type Gateway, type Network } from './model.ts';

export type NetworkOptions = Pick<Network, 'mtu' | 'autoMtu' | 'multicast' | 'gateway' | 'internal'>;

const GATEWAYS: readonly Gateway[] = ['engine', 'weave', 'none'];

type Parsed = Partial<NetworkOptions>;

const MTU_OPTIONS = new Set(['mtu', 'com.docker.network.driver.mtu']);

/** As `--opt` and `--ipam-opt`: the network of Weave's that an engine's is to be. */
export const NETWORK_OPTION = 'works.weave.network';

type Known = Record<string, { values: string; parse(value: string): Parsed | undefined }>;

/** What `--opt NAME=VALUE` may name, with what it means. */
export const NETWORK_OPTIONS: Known = {
  mtu: { values: 'bytes, 1280 to 65535', parse: parseMtu },
  'com.docker.network.driver.mtu': { values: 'as mtu', parse: parseMtu },
  'works.weave.multicast': {
    values: 'true or false',
    parse: (value) => (['', 'true', 'false'].includes(value) ? { multicast: value !== 'false' } : undefined),
  },
  'works.weave.gateway': {
    values: 'engine (docker_gwbridge), weave or none',
    parse: (value) => (GATEWAYS.includes(value as Gateway) ? { gateway: value as Gateway } : undefined),
  },
};

/** Of a network that an engine makes. */
export const ENGINE_NETWORK_OPTIONS: Known = {
  ...NETWORK_OPTIONS,
  [NETWORK_OPTION]: { values: 'the name or id of a weave network that is there', parse: () => ({}) },
};

function parseMtu(value: string): Parsed | undefined {
  const mtu = Number(value);
  // 1280: IPv6 wants no less of a link (RFC 8200 §5).
  return /^\d{1,5}$/.test(value) && mtu >= 1280 && mtu <= 65535 ? { mtu } : undefined;
}

/** Options of a network as a user writes them. Throws WEAVE_UNKNOWN_OPTION or WEAVE_INVALID_OPTION. */
export function networkOptions(
  given: Readonly<Record<string, string>>,
  internal: boolean,
  options: Known = NETWORK_OPTIONS,
): NetworkOptions {
  const isChosen = Object.keys(given).some((name) => MTU_OPTIONS.has(name));
  const auto = isChosen ? {} : { autoMtu: true as const };
  const chosen: NetworkOptions = { mtu: DEFAULT_MTU, ...auto, multicast: true, gateway: 'engine', internal };
  for (const [name, value] of Object.entries(given)) {
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (!option)
      fail('WEAVE_UNKNOWN_OPTION', `unknown option ${name}`, {
        hint: `Known options are: ${Object.entries(options)
          .map(([known, { values }]) => `${known} (${values})`)
          .join('; ')}.`,
      });
    const parsed = option.parse(value);
    if (!parsed)
      fail('WEAVE_INVALID_OPTION', `${name}=${value} is not possible`, { hint: `${name} takes ${option.values}.` });
    Object.assign(chosen, parsed);
  }
  return chosen;
}
