import { asWeaveError } from '@weave/core';

export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, unknown>,
) => void;

/** Runs `work`, logging instead of throwing: for what nobody waits for. */
export async function inBackground(log: Log, what: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    log('warn', what, { error: asWeaveError(error).toJSON() });
  }
}
