import {
  type Change,
  createNetwork,
  isWeaveError,
  type NetworkSpec,
  type PoolRequest,
  requestAddress,
  requestPool,
  State,
} from '@weave/core';
import { SELF } from './world.ts';

export const MINUTE = 60_000;

export function start(): State {
  return new State(SELF);
}

/** Applies what was decided; answers what came with it. */
export function take<R extends { changes: Change[] }>(state: State, decided: R): R {
  state.apply(decided.changes);
  return decided;
}

export const pool = (state: State, text: string, rest: Partial<PoolRequest> = {}) =>
  take(state, requestPool(state, { family: text.includes(':') ? 6 : 4, cidr: text, now: 0, ...rest })).pool;

export const network = (state: State, spec: NetworkSpec) => take(state, createNetwork(state, spec, { now: 0 })).network;

export const lease = (state: State, id: string, wanted?: string) => take(state, requestAddress(state, id, wanted)).cidr;

/** The code of what it throws. */
export function refusal(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (!isWeaveError(error)) throw error;
    return error.code;
  }
}

export const hex = (n: number) => n.toString(16).padStart(64, '0');
