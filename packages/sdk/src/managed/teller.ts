import type { Shelf } from './record.ts';

export interface TellerOptions {
  readonly shelf: Shelf;
  readonly self: string;
  /** Where this host's control port is now. */
  readonly control: readonly string[];
  meet(place: string): Promise<unknown>;
}

const AGAIN_MS = 5000;

/**
 * Tells hosts of the cluster where its store is that cannot find it by themselves: all, once, when this host has moved
 * and may be the one that has it; after the store was begun anew those that are not in it yet, until they are, as they
 * may come back to what they have of the old one.
 */
export function createTeller({ shelf, self, control, meet }: TellerOptions) {
  const { record } = shelf;
  const before = record.current?.hosts[self];
  let moved = before !== undefined && before.join() !== control.join();
  let telling = false;

  async function tellAll(hosts: Record<string, string[]>): Promise<void> {
    for (const [peer, places] of Object.entries(hosts))
      for (const place of peer === self ? [] : places) if (await meet(place).catch(() => undefined)) break;
  }

  return {
    /** To be called when the store has answered. */
    async tell(): Promise<void> {
      const { hosts = {}, untold = {} } = record.current ?? {};
      const unaware = moved ? hosts : untold;
      if (telling || Object.keys(unaware).length === 0) return;
      telling = true;
      moved = false;
      await tellAll(unaware);
      setTimeout(() => {
        telling = false;
      }, AGAIN_MS).unref();
    },
  };
}
