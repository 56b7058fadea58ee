import { type Change, partsOf, resize, resizedNetworks, type State } from '@weave/core';
import { render } from '@weave/core/testing';
import t from 'tap';
import {
  attached,
  engineEndpoint,
  golden,
  joined,
  kernelFor,
  network,
  other,
  peer,
  planned,
  readable,
  remote,
  stateOf,
} from './golden.ts';
import { SELF } from './world.ts';

const HOSTS = [
  peer({ id: SELF, name: 'h1', underlay: '192.0.2.1' }),
  peer(other),
  network('out', ['10.3.0.0/16'], { 'works.weave.gateway': 'weave' }),
  attached('out'),
  engineEndpoint('out', 2, '10.3.0.9/16'),
  joined(2),
  remote('out', 3, other.id, '10.3.0.3/16'),
];

const withMtu = (state: State, mtu: number): Change[] => {
  const record = { ...state.network('out'), mtu };
  return [{ table: 'network', id: record.id, record }];
};

/** Carries it out in a kernel too; answers the operations. */
async function resized(state: State, kernel: Awaited<ReturnType<typeof kernelFor>>, mtu: number): Promise<string> {
  const changes = withMtu(state, mtu);
  const networks = resizedNetworks(state, changes);
  const old = partsOf(state, networks);
  state.apply(changes);
  const batches = resize(old, partsOf(state, networks));
  await kernel.apply(batches);
  return readable(render(batches.flat()), state);
}

t.test('a network gets another MTU', async (t) => {
  const state = stateOf(...HOSTS);
  const kernel = await kernelFor(state);
  t.same(resizedNetworks(state, withMtu(state, 1430)), [], 'the one that it has is none');

  await t.test('what is inside shrinks first', async (t) => {
    t.equal(
      await resized(state, kernel, 1280),
      golden(`
      set far end of switch wu‹out› in host mtu 1280
      set far end of switch wv‹web› in /proc/1/ns/net mtu 1280
      set far end of switch wv‹e2› in /sandbox/1 mtu 1280
      set switch wu‹out› mtu 1280
      set switch wv‹web› mtu 1280
      set switch wv‹e2› mtu 1280
      set switch wb‹out› mtu 1280
      set switch wx‹out› mtu 1280
      `),
    );
    t.equal(readable(render(await planned(state, kernel)), state), '', 'and nothing is left to do: nobody chose it');
  });

  await t.test('what is inside grows last', async (t) => {
    t.equal(
      await resized(state, kernel, 8950),
      golden(`
      set switch wx‹out› mtu 8950
      set switch wb‹out› mtu 8950
      set switch wv‹e2› mtu 8950
      set switch wv‹web› mtu 8950
      set switch wu‹out› mtu 8950
      set far end of switch wv‹e2› in /sandbox/1 mtu 8950
      set far end of switch wv‹web› in /proc/1/ns/net mtu 8950
      set far end of switch wu‹out› in host mtu 8950
      `),
    );
  });
});
