import {
  attach,
  attachmentOf,
  type Change,
  cidr,
  createNetwork,
  detach,
  type Endpoint,
  formatCidr,
  growNetwork,
  networkOf,
  parseAddressRequest,
  removeNetwork,
} from '@weave/core';
import { hex } from '../given.ts';
import { isRight } from './invariants.ts';
import { of, type Playground, type Verb } from './playground.ts';

export const NAMES = ['weave', 'blue', 'red', 'green-with-a-long-name'];
/** Small, so that they run out. */
export const SUBNETS = [
  '10.1.0.0/29',
  '10.2.0.0/28',
  '10.3.0.0/31',
  '10.1.0.0/16',
  'fd01::/125',
  'fd02::/64',
  '10.4.0.0/24',
];
export const REQUESTS = [
  'net:default',
  '10.1.0.1/29',
  'ip:10.1.0.2/29',
  '10.1.0.3/16',
  'net:10.1.0.0/29',
  'net:10.1.0.4/30',
  'net:10.2.0.0/28',
  '10.2.0.5/28',
  'fd01::2/125',
  'net:fd02::/64',
  '192.0.2.1/24',
  '10.4.0.255/24',
];
export const GATEWAYS = ['engine', 'weave', 'none'];
/** What the host routes elsewhere. */
export const AVOID = ['10.64.16.0/20'];

const mac = (n: number) => (n & 255).toString(16).padStart(2, '0');

export const networks = (w: Playground) => [...w.state.networks.values()];
export const endpoints = (w: Playground, owner: Endpoint['owner']) =>
  [...w.state.endpoints.values()].filter((e) => e.owner === owner);

export const attachments = (w: Playground) => endpoints(w, 'weave').filter((e) => e.peer === w.state.self);

/** Verbs on networks of Weave's own, and what other hosts do there. */
export const ownVerbs = {
  async create(w, { a, b, c }) {
    const subnets = [of(SUBNETS, a), of(SUBNETS, b)].slice(0, (c % 3) + (a % 2));
    const { network, changes } = createNetwork(
      w.state,
      {
        name: of(NAMES, a),
        subnets: subnets.map((text) => ({ cidr: text })),
        options: {
          'works.weave.gateway': of(GATEWAYS, b),
          'works.weave.multicast': c % 2 ? 'true' : 'false',
          ...(c % 5 ? {} : { mtu: `${1280 + (a % 200)}` }),
        },
        internal: c % 7 === 0,
      },
      { now: w.now, avoid: AVOID },
    );
    const made = c % 6 ? changes : changes.map((change) => elsewhere(change));
    await w.verb(made, { networks: [network.id] });
  },
  /** The paths between its hosts are others by now. */
  async resize(w, { a, b }) {
    const network = of(networks(w), a);
    const record = { ...network, mtu: of([1280, 1430, 8950], b) };
    await w.verb([{ table: 'network', id: network.id, record }], { networks: [network.id] });
  },
  async grow(w, { a, b, c }) {
    const network = of(networks(w), a);
    const text = cidr(of(network.subnets, b).cidr);
    const length = Math.max(8, text.length - (c % 4));
    const { changes } = growNetwork(w.state, network.name, formatCidr(networkOf({ ...text, length })), w.now);
    await w.verb(changes, { networks: [network.id] });
  },
  async remove(w, { a, b }) {
    const unused = networks(w).filter((n) => n.owner === 'weave' && w.state.endpointsOf(n.id).length === 0);
    const name = b % 2 ? of(unused, a).name : of(NAMES, a);
    const { network, changes } = removeNetwork(w.state, name);
    await w.verb(changes, { networks: [network.id] });
  },
  async attach(w, { a, b, c }) {
    const [target, network] = [w.target(a), of(networks(w), b)];
    const requests = c % 4 ? [of(REQUESTS, c), of(REQUESTS, c >> 4)].slice(0, 1 + (c % 2)) : [];
    const { endpoint, granted, changes } = attach(w.state, network, target, requests.map(parseAddressRequest));
    await w.verb(changes, { endpoints: [endpoint.id] });
    for (const text of granted)
      if (!w.state.endpoint(endpoint.id).addresses.includes(text))
        throw new Error(`${text} was granted, but is not there`);
    await isRight(w, endpoint);
  },
  async detach(w, { a, b, c }) {
    // Some are not attached there at all.
    const endpoint = b % 8 ? of(attachments(w), a) : attachmentOf(w.state, of(networks(w), b), w.target(a));
    const requests = c % 3 ? [of(REQUESTS, c)] : [];
    const { changes } = detach(w.state, endpoint, requests.map(parseAddressRequest));
    if (!endpoint) return;
    await w.verb(changes, { endpoints: [endpoint.id] });
    await isRight(w, endpoint);
  },
  /** Another host has an endpoint on a network of ours, or had. */
  async remote(w, { a, b, c }) {
    const network = of(networks(w), a);
    const peer = { id: `peer${b % 3}`, name: `h${b % 3}`, ...(b % 3 ? { underlay: underlayOf(b) } : {}) };
    const known = w.state.endpointsOf(network.id).filter((e) => e.peer !== w.state.self);
    const old = known[c % 5];
    const serial = ++w.serial;
    const made: Endpoint = {
      ...{ id: hex(serial), network: network.id, peer: peer.id, owner: 'weave' },
      ...{
        addresses: [`100.64.${serial >> 8}.${serial & 255}/32`],
        mac: `5a:77:64:40:${mac(serial >> 8)}:${mac(serial)}`,
      },
    };
    const change = old
      ? { id: old.id, record: c % 2 ? { ...old, peer: peer.id } : null }
      : { id: made.id, record: made };
    const changes: Change[] = [
      { table: 'peer', id: peer.id, record: peer },
      { table: 'endpoint', ...change },
    ];
    await w.verb(changes);
  },
} satisfies Record<string, Verb>;

/** As if another host had made it. */
const elsewhere = (change: Change): Change =>
  change.table === 'network' && change.record ? { ...change, record: { ...change.record, origin: 'peer1' } } : change;

/** Of each host one of two, now and then the other; over the other family none of ours is reached. */
const underlayOf = (n: number) => (n % 7 ? `192.0.2.${10 * ((n >> 4) % 2) + (n % 3)}` : '2001:db8::1');
