import { type Address, address, cidr, contains, formatAddress, spelled } from './address.ts';
import { WeaveError } from './errors.ts';
import { Grants } from './grants.ts';
import { count, mark, own } from './indexes.ts';
import {
  type Binding,
  type Cell,
  type Change,
  type Endpoint,
  type Lease,
  type Name,
  type Network,
  type Peer,
  type Pool,
  SELF,
  type Self,
  type Subnet,
  TABLES,
  type Table,
} from './model.ts';
import { portName } from './names.ts';
import { placeOf } from './place.ts';
import { gridOf, type PoolIndex } from './pool-index.ts';

const EMPTY: ReadonlySet<string> = new Set();
const NOBODY: ReadonlyMap<string, number> = new Map();

/**
 * Everything this host knows, with the indexes that keep each verb's cost to what it touches. Verbs only read it;
 * it moves on by {@link State.apply}, after what they decided has been stored.
 */
export class State {
  readonly peers = new Map<string, Peer>();
  readonly networks = new Map<string, Network>();
  readonly bindings = new Map<string, Binding>();
  readonly cells = new Map<string, Cell>();
  readonly selves = new Map<string, Self>();
  readonly pools = new Map<string, Pool>();
  readonly leases = new Map<string, Lease>();
  readonly endpoints = new Map<string, Endpoint>();
  readonly names = new Map<string, Name>();
  readonly grants = new Grants();
  /** This host. */
  readonly self: string;

  readonly #poolIndex = new Map<string, PoolIndex>();
  readonly #byName = new Map<string, string>();
  readonly #byNetwork = new Map<string, Set<string>>();
  readonly #bySandbox = new Map<string, Set<string>>();
  readonly #byAddress = new Map<string, string>();
  readonly #shards = new Map<string, number[]>();
  readonly #byMac = new Map<string, string>();
  readonly #byPort = new Map<string, string>();
  readonly #members = new Map<string, Map<string, number>>();
  readonly #underlays = new Map<string, string>();
  readonly #tables: Record<Table, Map<string, unknown>> = {
    self: this.selves,
    peer: this.peers,
    network: this.networks,
    binding: this.bindings,
    pool: this.pools,
    cell: this.cells,
    lease: this.leases,
    endpoint: this.endpoints,
    name: this.names,
  };

  constructor(self: string) {
    this.self = self;
  }

  /** The cluster that this host belongs to; undefined while it is alone. */
  get cluster(): string | undefined {
    return this.selves.get(SELF)?.cluster;
  }

  /** What the names of this host's containers end in; undefined where they have none. */
  get domain(): string | undefined {
    return this.selves.get(SELF)?.domain;
  }

  /** Networks by id, an engine's id, unambiguous start of an id (12 digits or more), or name. */
  network(idOrName: string): Network {
    const found = this.findNetwork(idOrName);
    if (!found) throw new WeaveError('WEAVE_NETWORK_NOT_FOUND', `there is no network ${idOrName}`);
    return found;
  }

  findNetwork(idOrName: string): Network | undefined {
    const direct = this.networks.get(this.#byName.get(idOrName) ?? this.boundTo(idOrName));
    if (direct) return direct;
    const byPrefix = idOrName.length < 12 ? [] : [...this.networks.values()].filter((n) => n.id.startsWith(idOrName));
    return byPrefix.length === 1 ? byPrefix[0] : undefined;
  }

  /** Our id of a network that an engine calls so. */
  boundTo(id: string): string {
    return this.bindings.get(id)?.network ?? id;
  }

  hasNetworkNamed(name: string): boolean {
    return this.#byName.has(name);
  }

  endpoint(id: string): Endpoint {
    const endpoint = this.endpoints.get(id);
    if (!endpoint) throw new WeaveError('WEAVE_ENDPOINT_NOT_FOUND', `there is no endpoint ${id}`);
    return endpoint;
  }

  endpointsOf(network: string): Endpoint[] {
    return [...this.eachOf(network)];
  }

  /** As {@link endpointsOf}, one after the other: for who needs few of very many. */
  *eachOf(network: string): Generator<Endpoint> {
    for (const id of this.#byNetwork.get(network) ?? EMPTY) yield this.endpoints.get(id)!;
  }

  /** Endpoints whose interface is in an engine's sandbox, in a namespace (its id, or `host`), or of a container. */
  endpointsIn(key: string): Endpoint[] {
    return [...(this.#bySandbox.get(key) ?? EMPTY)].map((id) => this.endpoints.get(id)!);
  }

  /** The endpoint that has this address on this network. */
  addressOwner(network: string, text: string): string | undefined {
    return this.#byAddress.get(`${network} ${text}`);
  }

  /** The endpoint that has this MAC on this network. */
  macOwner(network: string, mac: string): string | undefined {
    return this.#byMac.get(`${network} ${mac}`);
  }

  /** The endpoint whose port in the switch is called so. */
  endpointOfPort(link: string): string | undefined {
    return this.#byPort.get(link);
  }

  /** How many of this host's endpoints are on each bridge of a network. */
  shardsOf(network: string): readonly number[] {
    return this.#shards.get(network) ?? [];
  }

  /** The hosts that have endpoints of a network, with how many. */
  membersOf(network: string): ReadonlyMap<string, number> {
    return this.#members.get(network) ?? NOBODY;
  }

  /** Where a host is reached by others, in the kernel's spelling. */
  underlayOf(peer: string): string | undefined {
    return this.#underlays.get(peer);
  }

  /** Whether this host has endpoints on a network. */
  isMember(network: string): boolean {
    return this.shardsOf(network).length > 0;
  }

  poolIndex(id: string): PoolIndex {
    const index = this.#poolIndex.get(id);
    if (!index) throw new WeaveError('WEAVE_POOL_NOT_FOUND', `there is no address pool ${id}`);
    return index;
  }

  networkOfPool(id: string): Network | undefined {
    for (const network of this.networks.values()) if (network.subnets.some((s) => s.pool === id)) return network;
    return undefined;
  }

  /** The subnet of `network` that `addr` is in. */
  subnetOf(network: Network, addr: Address): Subnet | undefined {
    return network.subnets.find((s) => contains(cidr(s.cidr), addr));
  }

  /** What {@link apply} would put back as it is after `changes`. */
  inverse(changes: readonly Change[]): Change[] {
    return changes.map((c) => ({ ...c, record: this.#tables[c.table].get(c.id) ?? null }) as Change).reverse();
  }

  /** Every record, parents first: applied to an empty state they make this one. */
  records(): Change[] {
    return TABLES.flatMap((table) => [...this.#tables[table]].map(([id, record]) => ({ table, id, record }) as Change));
  }

  copy(): State {
    const copy = new State(this.self);
    copy.apply(this.records());
    return copy;
  }

  apply(changes: Iterable<Change>): void {
    for (const change of changes) {
      const table = this.#tables[change.table];
      const before = table.get(change.id);
      // What is taken of a pool stays so, also as it grows.
      const again = change.table === 'pool' && before !== undefined ? change.record : null;
      if (again) Object.assign(this.poolIndex(change.id), gridOf(again), { lowest: 0n });
      else this.#index(change, before, false);
      if (change.record === null) table.delete(change.id);
      else table.set(change.id, change.record);
      if (!again) this.#index(change, change.record ?? undefined, true);
      this.grants.note(change);
    }
  }

  #index({ table, id }: Change, record: unknown, enter: boolean): void {
    if (!record) return;
    if (table === 'peer') this.#indexPeer(record as Peer, enter);
    if (table === 'network') this.#indexNetwork(record as Network, enter);
    if (table === 'pool') this.#indexPool(id, record as Pool, enter);
    if (table === 'cell') this.#indexCell(record as Cell, enter);
    if (table === 'lease') this.#take(record as Lease, '', enter);
    if (table === 'endpoint') this.#indexEndpoint(record as Endpoint, enter);
  }

  #indexPeer({ id, underlay }: Peer, enter: boolean): void {
    const address = spelled(underlay);
    if (enter && address) this.#underlays.set(id, address);
    else this.#underlays.delete(id);
  }

  #indexNetwork({ id, name }: Network, enter: boolean): void {
    if (enter) this.#byName.set(name, id);
    else if (this.#byName.get(name) === id) this.#byName.delete(name);
  }

  #indexPool(id: string, pool: Pool, enter: boolean): void {
    if (enter) {
      this.#poolIndex.set(id, { ...gridOf(pool), taken: new Map(), lowest: 0n, cells: [] });
    } else this.#poolIndex.delete(id);
  }

  #indexCell(cell: Cell, enter: boolean): void {
    const index = this.#poolIndex.get(cell.pool);
    if (!index || cell.leaving) return;
    const block = cidr(cell.cidr);
    const others = index.cells.filter(({ value, length }) => value !== block.value || length !== block.length);
    index.cells = enter ? [...others, block].sort((a, b) => (a.value < b.value ? -1 : 1)) : others;
    if (enter && block.value < index.lowest) index.lowest = block.value;
  }

  #indexEndpoint(endpoint: Endpoint, enter: boolean): void {
    const { id, network, sandbox, container } = endpoint;
    mark(this.#byNetwork, network, id, enter);
    count(this.#members, network, endpoint.peer, enter);
    const place = placeOf(sandbox);
    if (place) mark(this.#bySandbox, place, id, enter);
    // Of another host's container this one's engine knows nothing.
    if (container && endpoint.peer === this.self) mark(this.#bySandbox, container.id, id, enter);
    if (endpoint.peer === this.self) {
      const shards = this.#shards.get(network) ?? [];
      const shard = endpoint.shard ?? 0;
      while (shards.length <= shard) shards.push(0);
      shards[shard] = shards[shard]! + (enter ? 1 : -1);
      while (shards.at(-1) === 0) shards.pop();
      this.#shards.set(network, shards);
      own(this.#byPort, portName(id), id, enter);
    }
    own(this.#byMac, `${network} ${endpoint.mac}`, id, enter);
    for (const text of endpoint.addresses) {
      const plain = formatAddress(cidr(text));
      own(this.#byAddress, `${network} ${plain}`, id, enter);
      // What an engine's endpoint holds of a pool is held by the engine's lease; and other hosts hand out their own.
      if (endpoint.owner === 'docker' || endpoint.peer !== this.self) continue;
      const pool = this.subnetOf(this.networks.get(network)!, cidr(text))?.pool;
      if (pool) this.#take({ pool, address: plain }, id, enter);
    }
  }

  #take(lease: Lease, owner: string, enter: boolean): void {
    const index = this.#poolIndex.get(lease.pool);
    if (!index) return;
    const { value } = address(lease.address);
    if (enter) index.taken.set(value, owner);
    else if (index.taken.get(value) === owner) {
      index.taken.delete(value);
      if (value < index.lowest) index.lowest = value;
    }
  }
}
