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
 * Tells hosts of the cluster where its store is that cannot find it by themselves: all, when this host has moved and
 * may be the one that has it, until they have heard; after the store was begun anew those that are not in it yet, until
 * they are, as they may come back to what they have of the old one.
 */
export function createTeller({ shelf, self, control, meet }: TellerOptions) {
  const { record } = shelf;
  const before = record.current?.hosts[self];
  /** Those that have not heard yet where this host is now. */
  let unmet: Record<string, string[]> | undefined;
  if (before !== undefined && before.join() !== control.join()) unmet = { ...record.current?.hosts };
  let telling = false;

  async function tellAll(hosts: Record<string, string[]>): Promise<void> {
    for (const [peer, places] of Object.entries(hosts))
      for (const place of peer === self ? [] : places)
        if (await meet(place).catch(() => undefined)) {
          delete unmet?.[peer];
          break;
        }
  }

  return {
    /** To be called when the store has answered. */
    async tell(): Promise<void> {
      const { hosts = {}, untold = {} } = record.current ?? {};
      for (const peer of Object.keys(unmet ?? {})) if (peer === self || !hosts[peer]) delete unmet?.[peer];
      const unaware = { ...untold, ...unmet };
      if (telling || Object.keys(unaware).length === 0) return;
      telling = true;
      await tellAll(unaware);
      setTimeout(() => {
        telling = false;
      }, AGAIN_MS).unref();
    },
  };
}
