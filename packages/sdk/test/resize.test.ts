import { setTimeout as delay } from 'node:timers/promises';
import {
  adoptNetwork,
  type Change,
  createEndpoint,
  HOST,
  handoverName,
  joinEndpoint,
  type ObservedLink,
  portName,
  State,
  SWITCH,
} from '@weave/core';
import { memoryDatapath, memoryFirewall, memoryStore } from '@weave/core/testing';
import t from 'tap';
import { createHost } from '../src/host.ts';

const [SELF, ID, NETWORK] = ['0'.repeat(32), 'e'.repeat(64), 'd'.repeat(64)];
const [SANDBOX, ON_ITS_WAY] = ['/sandbox/1', '/between'];

/** A container on a Docker network, whose interface the engine is just moving. */
async function moving() {
  const datapath = memoryDatapath({ namespaces: [SANDBOX, ON_ITS_WAY] });
  const store = memoryStore();
  const state = new State(SELF);
  const logged: string[] = [];
  const host = createHost({
    ...{ state, store, datapath, firewall: memoryFirewall(), switchFilter: memoryFirewall(), clock: () => 0 },
    ...{ log: (level, message) => level !== 'debug' && logged.push(message), emit: () => undefined, trusted: true },
  });
  host.commit([{ table: 'peer', id: SELF, record: { id: SELF, name: 'h1' } }]);
  const subnets = [{ cidr: '10.9.0.0/24', ours: false }];
  const spec = { id: NETWORK, name: 'blue', subnets, options: {}, internal: false };
  await host.carryOut({ changes: adoptNetwork(state, spec), networks: [NETWORK] });
  host.commit(createEndpoint(state, { id: ID, network: NETWORK, addresses: ['10.9.0.2/24'] }).changes);
  await host.carryOut({ changes: joinEndpoint(state, ID, SANDBOX).changes, endpoints: [ID] });
  datapath.moveLink(HOST, handoverName(ID), datapath.netnsId(ON_ITS_WAY) ? ON_ITS_WAY : HOST, 'eth0');
  const mtus = async (): Promise<(number | undefined)[]> => {
    const [seen] = await datapath.observe([{ netns: SWITCH, links: [portName(ID)] }]);
    const [link] = seen!.links as [ObservedLink];
    return [link.mtu, link.peerMtu];
  };
  const resize = (mtu: number) => {
    const changes: Change[] = [{ table: 'network', id: NETWORK, record: { ...state.networks.get(NETWORK)!, mtu } }];
    return host.carryOut({ changes, networks: [NETWORK] });
  };
  return { datapath, host, resize, mtus, logged };
}

t.test('an interface that its engine is just moving gets its MTU soon after', async (t) => {
  const { datapath, host, resize, mtus, logged } = await moving();
  await resize(1280);
  t.same(await mtus(), [1280, 1430], 'it cannot be found now');
  datapath.moveLink(ON_ITS_WAY, 'eth0', SANDBOX, 'eth0');
  for (const end = Date.now() + 10_000; (await mtus())[1] !== 1280 && Date.now() < end; ) await delay(20);
  t.same(await mtus(), [1280, 1280]);
  t.same(logged, ['repaired']);
  await host.end();
});

t.test('what the kernel refuses leaves every link as it was', async (t) => {
  const { datapath, host, resize, mtus } = await moving();
  datapath.moveLink(ON_ITS_WAY, 'eth0', SANDBOX, 'eth0');
  await resize(1280);
  t.same(await mtus(), [1280, 1280]);
  // After the links themselves: in what is asked for again.
  datapath.failAt({ after: 3, code: 'ENOMEM' });
  await t.rejects(resize(1400), { code: 'WEAVE_KERNEL' });
  t.same(await mtus(), [1280, 1280]);
  await host.end();
});
