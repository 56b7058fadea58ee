import { setTimeout as delay } from 'node:timers/promises';
import type { Directory } from '@weave/core';
import { type DirectorySubject, directoryContract } from '@weave/core/testing';
import { type Test, t } from 'tap';
import { etcdDirectory } from '../src/etcd.ts';
import { EtcdServer, Wire } from './etcd-server.ts';

/** An etcd of its own, as a case may lose its data; each host has its own wire to it. */
async function subjectFor(t: Test): Promise<DirectorySubject> {
  const [server] = await EtcdServer.start();
  const wires = new Map<Directory, Wire>();
  t.teardown(async () => {
    for (const [directory, wire] of wires) {
      await directory.close();
      await wire[Symbol.asyncDispose]();
    }
    await server![Symbol.asyncDispose]();
  });
  return {
    async open() {
      const wire = await Wire.to(server!.endpoint);
      const directory = await etcdDirectory({ endpoints: [wire.endpoint] });
      wires.set(directory, wire);
      return directory;
    },
    cut: async (directory) => wires.get(directory)!.cut(),
    heal: async (directory) => wires.get(directory)!.heal(),
    compact: () => server!.compact(),
    loseData: () => server!.loseData(),
    passes: (seconds) => delay(seconds * 1000),
  };
}

// Most of the time they wait for leases to expire.
t.jobs = 4;
for (const { name, run } of directoryContract)
  t.test(name, { buffered: true }, async (t) => {
    await run(await subjectFor(t));
    t.pass('kept');
  });
