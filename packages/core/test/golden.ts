import {
  attach,
  bridgeName,
  type Change,
  createEndpoint,
  createNetwork,
  desired,
  type Endpoint,
  gatewayName,
  handoverName,
  joinEndpoint,
  type Op,
  parseAddressRequest,
  plan,
  portName,
  queries,
  State,
  SWITCH,
} from '@weave/core';
import { type MemoryDatapath, memoryDatapath, render } from '@weave/core/testing';
import type { Test } from 'tap';
import { rootPortName, trunkName, uplinkName, vxlanName } from '../src/names.ts';
import { hex } from './given.ts';
import { SELF } from './world.ts';

export const WEB = '/proc/1/ns/net';
/** An engine's. */
export const SANDBOX = '/sandbox/1';
export const other = { id: 'f'.repeat(32), name: 'h2', underlay: '192.0.2.2' };

export type Step = (state: State) => Change[] | { changes: Change[] };

export function stateOf(...steps: Step[]): State {
  const state = new State(SELF);
  for (const step of [peer({ id: SELF, name: 'h1' }), ...steps]) {
    const made = step(state);
    state.apply(Array.isArray(made) ? made : made.changes);
  }
  return state;
}

export const peer =
  (record: { id: string; name: string; underlay?: string }): Step =>
  () => [{ table: 'peer', id: record.id, record }];

export const network =
  (name: string, subnets: string[], options: Record<string, string> = {}, internal = false): Step =>
  (state) =>
    createNetwork(state, { name, subnets: subnets.map((cidr) => ({ cidr })), options, internal }, { now: 0 });

export const attached =
  (name: string, path = WEB, ...requests: string[]): Step =>
  (state) =>
    attach(state, state.network(name), { path, id: `4:${path}` }, requests.map(parseAddressRequest));

export const engineEndpoint =
  (name: string, n: number, address: string): Step =>
  (state) =>
    createEndpoint(state, { id: hex(n), network: name, addresses: [address] });

export const joined =
  (n: number): Step =>
  (state) =>
    joinEndpoint(state, hex(n), SANDBOX);

export const remote =
  (name: string, n: number, peer: string, address: string): Step =>
  (state) => {
    const mac = `5a:77:00:00:00:0${n}`;
    const record: Endpoint = {
      id: hex(n),
      network: state.network(name).id,
      peer,
      addresses: [address],
      mac,
      owner: 'weave',
    };
    return [{ table: 'endpoint', id: hex(n), record }];
  };

/** Hashes stand for what they are of: `wb‹blue›`. */
export function readable(text: string, state: State): string {
  let readable = text;
  const say = (name: string, what: string) => {
    readable = readable.replaceAll(name, `${/^(weavegw|w.)/.exec(name)?.[0]}‹${what}›`);
  };
  for (const { id, name } of state.networks.values()) {
    for (const make of [bridgeName, vxlanName, uplinkName, gatewayName]) say(make(id), name);
    for (const make of [bridgeName, trunkName, rootPortName]) say(make(id, 1), `${name}/1`);
    readable = readable.replaceAll(id, name);
  }
  for (const { id, sandbox } of state.endpoints.values()) {
    const name = sandbox?.kind === 'netns' ? 'web' : `e${Number.parseInt(id.slice(-4), 16)}`;
    say(portName(id), name);
    say(handoverName(id), name);
    readable = readable.replaceAll(id, name);
  }
  return readable;
}

/** Without the switch's own unit, and without the left margin of a template. */
export const withoutSwitch = (text: string) => text.replace(/^switch\n( .*\n)+/, '');
export const golden = (text: string) => text.replace(/^\n/, '').replaceAll(/^ {6}/gm, '').replace(/ *$/, '');

export const BLUE = network('blue', ['10.2.0.0/16', 'fd02::/64']);
export const BOTH = [BLUE, attached('blue'), engineEndpoint('blue', 2, '10.2.0.9/16'), joined(2)];

/** A kernel in which everything is as desired. */
export async function kernelFor(state: State): Promise<MemoryDatapath> {
  const kernel = memoryDatapath({ namespaces: [WEB, SANDBOX] });
  for (const { failed } of await kernel.apply(desired(state).map((unit) => unit.resources)))
    if (failed) throw new Error(JSON.stringify(failed));
  return kernel;
}

export const planned = async (state: State, kernel: MemoryDatapath) =>
  plan(desired(state), await kernel.observe(queries(desired(state))));

export const OUT = [network('out', ['10.3.0.0/16'], { 'works.weave.gateway': 'weave' }), attached('out')];
export const HOSTS = [
  peer({ id: SELF, name: 'h1', underlay: '192.0.2.1' }),
  peer(other),
  BLUE,
  attached('blue'),
  remote('blue', 3, other.id, '10.2.0.3/16'),
];
/** Made on the other host. */
export const FOREIGN: Step[] = [
  ...HOSTS.slice(0, 3),
  (state) => {
    const network = state.network('blue');
    return [{ table: 'network', id: network.id, record: { ...network, origin: other.id } }];
  },
];
export const on = (name: string) => stateOf(network(name, [])).network(name).id;
const WV = portName(stateOf(...BOTH).endpointsIn(`4:${WEB}`)[0]!.id);
export const near = { netns: SWITCH, name: WV };
export const far = { netns: WEB, name: 'ethwe-blue' };
export const link = { netns: WEB, link: 'ethwe-blue' };
export const bridge = {
  op: 'addBridge',
  netns: SWITCH,
  name: 'br0',
  mac: '52:00:00:00:00:99',
  mtu: 1500,
} as const satisfies Op;

export interface Drift {
  name: string;
  state?: State;
  ops?: Op[];
  meddle?(kernel: MemoryDatapath): void | Promise<void>;
  want: string;
  /** Somebody else has the name: the plan cannot be carried out. */
  held?: true;
}

/** What a full pass finds to do after each, and that nothing is left when it is done. */
export async function repairs(t: Test, table: readonly Drift[]): Promise<void> {
  for (const { name, state = stateOf(...BOTH), ops = [], meddle, want, held } of table) {
    const kernel = await kernelFor(state);
    for (const { failed } of await kernel.apply(ops.map((op) => [op])))
      if (failed) throw new Error(JSON.stringify(failed));
    await meddle?.(kernel);
    const found = readable(render(await planned(state, kernel)), state);
    t.equal(found, golden(want), name);
    if (held) continue;
    await kernel.apply((await planned(state, kernel)).map((batch) => batch.ops));
    t.equal(render(await planned(state, kernel)), '', `${name}: then nothing more`);
  }
}
