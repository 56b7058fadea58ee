import { setTimeout as delay } from 'node:timers/promises';
import { asWeaveError, type Change, type HostStore, type State } from '@weave/core';
import type { Host } from './host.ts';
import type { Check, Difference } from './weave.ts';

/** A verb under way makes the kernel follow the records within this time. */
const UNDER_WAY_MS = 200;

/** Compares kernel, store and records; with `fix` also mends, and says what that helped. */
export async function check(host: Host, store: HostStore, fix = false): Promise<Check> {
  const differences = await lasting(() => compare(host, store));
  return { compared: ['kernel', 'store'], differences: fix ? await mended(differences, host, store) : differences };
}

async function mended(differences: Difference[], host: Host, store: HostStore): Promise<Difference[]> {
  if (differences.length === 0) return [];
  await host.reconciler.pass();
  return fixedOf(differences, await lasting(() => compare(host, store)));
}

/** Which of the differences are no more. */
export function fixedOf(before: readonly Difference[], after: readonly Difference[]): Difference[] {
  const left = new Set(after.map(({ what }) => what));
  return before.map((difference) => ({ ...difference, fixed: !left.has(difference.what) }));
}

/** What is there twice: not what a verb is about to change. */
export async function lasting(compared: () => Promise<Difference[]>): Promise<Difference[]> {
  const first = await compared();
  if (first.length === 0) return [];
  await delay(UNDER_WAY_MS);
  const still = new Set((await compared()).map(({ what }) => what));
  return first.filter(({ what }) => still.has(what));
}

async function compare({ state, reconciler }: Host, store: HostStore): Promise<Difference[]> {
  const inKernel = (await reconciler.differences()).map((what) => ({ where: 'kernel', what }) as const);
  return [...inKernel, ...inStore(state, store).map((what) => ({ where: 'store', what }) as const)];
}

function inStore(state: State, store: HostStore): string[] {
  const key = ({ table, id }: Change) => `${table} ${id}`;
  try {
    const stored = new Map(store.load().map((change) => [key(change), JSON.stringify(change.record)]));
    const kept = new Map(state.records().map((change) => [key(change), JSON.stringify(change.record)]));
    const all = [...new Set([...stored.keys(), ...kept.keys()])];
    return all.filter((id) => stored.get(id) !== kept.get(id)).map((id) => `the record of ${id} is not what is stored`);
  } catch (error) {
    return [asWeaveError(error).message];
  }
}

/** What records that an engine's view would change say of the difference. */
export function describe(state: State, { table, id, record }: Change): string {
  const had = state.records().some((change) => change.table === table && change.id === id);
  const named = `${table} ${nameOf(state, table, id) ?? id}`;
  if (record === null) return `${named} is recorded, but the engine has it not any more`;
  return had ? `${named} is otherwise in the engine` : `${named} is in the engine, but not recorded`;
}

const nameOf = (state: State, table: string, id: string): string | undefined =>
  table === 'network' ? state.networks.get(id)?.name : undefined;
