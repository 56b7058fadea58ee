// A program: gives networks of this host another MTU, as its daemon does, with the daemon's records while it is stopped.
// node resize.ts MTU NETWORK…
import { State } from '@weave/core';
import { memoryFirewall } from '@weave/core/testing';
import { kernelDatapath } from '../../../sdk/src/datapath.ts';
import { createHost } from '../../../sdk/src/host.ts';
import { openStore } from '../../../sdk/src/store.ts';

const [mtu, ...names] = process.argv.slice(2);
const { store } = openStore('/var/lib/weave/weave.db');
const datapath = kernelDatapath('/run/weave/netns');
const records = store.load();
const state = new State(records.find(({ table }) => table === 'peer')!.id);
state.apply(records);
const problems: unknown[] = [];
const host = createHost({
  ...{ state, store, datapath, firewall: memoryFirewall(), switchFilter: memoryFirewall(), clock: Date.now },
  log: (level, message, fields) => level === 'debug' || problems.push({ message, ...fields }),
  emit: () => undefined,
  trusted: true,
});
for (const name of names) {
  const { id } = state.network(name);
  const record = { ...state.network(name), mtu: Number(mtu) };
  await host.carryOut({ changes: [{ table: 'network', id, record }], networks: [id] });
}
await host.end();
await datapath.close();
store.close();
process.stdout.write(JSON.stringify(problems));
