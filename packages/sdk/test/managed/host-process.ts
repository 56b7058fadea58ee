// A host as a process of its own, to be killed: its options as JSON in argv, what it is each 200 ms on stdout.
import { managedStore } from '../../src/managed/managed.ts';
import type { ManagedOptions } from '../../src/managed/options.ts';

const options: Omit<ManagedOptions, 'log'> = JSON.parse(process.argv[2]!);
const managed = await managedStore({
  ...options,
  log: (level, message, fields) => process.stderr.write(`${JSON.stringify({ level, message, ...fields })}\n`),
});
setInterval(() => {
  const { hosts, voters, etcd } = managed.status();
  const told = { cluster: managed.store?.clusterId, hosts: hosts.map(({ peer }) => peer), voters, etcd };
  process.stdout.write(`${JSON.stringify(told)}\n`);
}, 200);
process.once('SIGTERM', () => void managed.close().then(() => process.exit(0)));
