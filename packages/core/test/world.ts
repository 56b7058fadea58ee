import {
  type Applied,
  type Batch,
  type Change,
  type Consequences,
  consequences,
  deleteEndpoint,
  desired,
  type Failure,
  leaveEndpoint,
  type Op,
  partsOf,
  plan,
  queries,
  resize,
  resizedNetworks,
  State,
  TABLES,
  type Touched,
  touched,
  transition,
} from '@weave/core';
import { type MemoryDatapath, memoryDatapath, memoryStore } from '@weave/core/testing';

export const SELF = '0'.repeat(32);

/** A verb that the kernel refused: its changes are taken back. */
export class Refused extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(`${failure.op} ${failure.link}: ${failure.code}`);
    this.failure = failure;
  }
}

/** A host in memory: what the SDK does with core, and nothing else. */
export class World {
  state = new State(SELF);
  store = memoryStore();
  readonly kernel: MemoryDatapath;

  constructor(namespaces: readonly string[] = []) {
    this.kernel = memoryDatapath({ namespaces });
    this.store.append([{ table: 'peer', id: SELF, record: { id: SELF, name: 'h1', underlay: '192.0.2.100' } }]);
    this.start();
  }

  /** The daemon starts again: its records, and the kernel as it is. */
  start(): void {
    this.store = this.store.reopen();
    this.state = new State(SELF);
    this.state.apply(this.store.load());
  }

  commit(changes: readonly Change[]): void {
    this.store.append(changes);
    this.state.apply(changes);
  }

  apply(batches: readonly (readonly Op[])[]): Promise<Applied[]> {
    return this.kernel.apply(batches);
  }

  resources(about: Touched, also: Consequences = { networks: new Set(), endpoints: new Set() }) {
    return touched(this.state, about, also);
  }

  /** Throws {@link Refused}, and nothing has changed. */
  async carryOut(changes: readonly Change[], about: Touched): Promise<void> {
    const also = consequences(this.state, changes);
    const resources = () => this.resources(about, also);
    const before = resources();
    const undo = this.state.inverse(changes);
    const resized = resizedNetworks(this.state, changes);
    const old = partsOf(this.state, resized);
    this.commit(changes);
    const after = resources();
    const made = partsOf(this.state, resized);
    // What could not be resized is left to the next full pass.
    const applied = (await this.apply([...resize(old, made), transition(before, after)])).at(-1);
    if (!applied?.failed) return;
    this.commit(undo);
    await this.apply([...resize(made, old), transition(after, resources())]);
    throw new Refused(applied.failed);
  }

  forgetGoneSandboxes(): void {
    const gone = [...this.state.endpoints.values()].filter(
      ({ sandbox }) => sandbox?.kind === 'netns' && this.kernel.netnsId(sandbox.path) !== sandbox.id,
    );
    this.commit(
      gone.flatMap(({ id, container }) => (container ? leaveEndpoint(this.state, id) : deleteEndpoint(this.state, id))),
    );
  }

  async plan(units = desired(this.state)): Promise<Batch[]> {
    return plan(units, await this.kernel.observe(queries(units)));
  }

  /** A full pass. Answers what it did, and where it failed. */
  async reconcile(): Promise<(Batch & { failed: Failure | undefined })[]> {
    this.forgetGoneSandboxes();
    const batches = await this.plan();
    const applied = await this.apply(batches.map((batch) => batch.ops));
    return batches.map((batch, index) => ({ ...batch, failed: applied[index]?.failed }));
  }
}

/** Everything that can be asked of a state, in an order of its own: equal for equal states, however they came to be. */
export function digest(state: State): string {
  const records = state
    .records()
    .map(({ table, id, record }) => `${TABLES.indexOf(table)} ${id} ${JSON.stringify(record)}`)
    .sort();
  const endpoints = [...state.endpoints.values()];
  const indexes = [
    ...[...state.networks.values()].flatMap(({ id, name }) => [
      `${name} is ${state.hasNetworkNamed(name) ? state.network(name).id : '-'}`,
      `${id} has ${state
        .endpointsOf(id)
        .map((e) => e.id)
        .sort()}`,
      `${id} spreads ${state.shardsOf(id)}`,
      `${id} is on ${[...state.membersOf(id)].sort()}`,
    ]),
    ...endpoints.flatMap((e) => [
      ...e.addresses.map((a) => `${a} ${state.addressOwner(e.network, a.split('/')[0]!)}`),
      `${e.mac} ${state.macOwner(e.network, e.mac)}`,
      ...[
        e.sandbox?.kind === 'engine' ? e.sandbox.key : e.sandbox?.kind === 'netns' ? e.sandbox.id : undefined,
        e.container?.id,
      ].map((key) =>
        key
          ? `${key} ${state
              .endpointsIn(key)
              .map((other) => other.id)
              .sort()}`
          : '',
      ),
    ]),
    ...[...state.pools.keys()].map((id) => {
      const taken = [...state.poolIndex(id).taken].map(([value, owner]) => `${value}=${owner}`);
      return `${id} ${taken.sort()}`;
    }),
  ];
  return [...records, ...indexes.sort()].join('\n');
}
