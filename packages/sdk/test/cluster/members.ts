import { type MemoryDirectory, memoryDirectory } from '@weave/core/testing';
import type { Test } from 'tap';
import type { Endpoint } from '../../src/index.ts';
import { createRig, type Rig } from '../rig.ts';

export interface Member {
  rig: Rig;
  client: ReturnType<MemoryDirectory['client']>;
}

/** Hosts of one cluster, each of which has joined. */
export async function hosts(t: Test, count: number): Promise<{ directory: MemoryDirectory; all: Member[] }> {
  const directory = memoryDirectory();
  const all: Member[] = [];
  for (let i = 0; i < count; i++) {
    const client = directory.client();
    const rig = await createRig({ directory: client, underlay: `192.0.2.${i + 1}` });
    t.teardown(() => rig[Symbol.asyncDispose]());
    all.push({ rig, client });
    await until(async () => (await rig.here.status()).cluster?.id !== undefined, 'it has joined');
  }
  return { directory, all };
}

export async function until(holds: () => boolean | Promise<boolean>, what: string, ms = 3000): Promise<void> {
  for (const end = Date.now() + ms; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`not so after ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const attach = ({ rig }: Member, name: string, ...addresses: string[]) =>
  rig.here.attach({ container: rig.run(name).name }, addresses);

export const seenBy = async ({ rig }: Member): Promise<string[]> =>
  (await rig.here.endpoints.list({ everywhere: true })).flatMap((e: Endpoint) => e.addresses).sort();
